//! SHOW SHARDLOOM DDL: definitions over several nodes that run, were left, or went wrong.

use futures_util::future::join_all;

use super::answer::{Cell, Column};
use super::{Failure, Session};
use crate::config::GroupId;
use crate::definitions::{self, Definition, Node, NodeState, State};

impl Session {
    /// One row for each that is written down on some group and not done, the oldest first.
    pub(super) async fn show_definitions(&mut self) -> Result<(), Failure> {
        let snapshot = self.snapshot();
        let backends = &snapshot.backends;
        let groups = (0..backends.groups().len()).filter_map(|index| u16::try_from(index).ok()).map(GroupId);
        let listed = join_all(groups.map(|group| async move {
            let mut found = definitions::list(backends, group).await.unwrap_or_default();
            found.retain(|definition| definition.state != State::Done);
            for definition in &mut found {
                definition.nodes = definitions::nodes(backends, group, &definition.name).await.unwrap_or_default();
            }
            found
        }));
        let mut all: Vec<Definition> = listed.await.into_iter().flatten().collect();
        all.retain(|definition| {
            definition.tables.iter().all(|(schema, _)| self.shared.may_use(&self.entry.user, schema))
        });
        all.sort_by_key(|definition| std::cmp::Reverse(definition.age_s));
        let rows: Vec<Vec<Cell>> = all.iter().map(row).collect();
        let columns = [
            Column::Text("Definition", 64),
            Column::Text("State", 16),
            Column::Int("Age_s"),
            Column::Text("Tables", 4096),
            Column::Text("Done", 4096),
            Column::Text("Not_done", 4096),
            Column::Text("Message", 4096),
            Column::Text("Statement", 65_535),
        ];
        self.answer_rows(&columns, &rows).await
    }
}

fn row(definition: &Definition) -> Vec<Cell> {
    let tables: Vec<String> = definition.tables.iter().map(|(schema, table)| format!("{schema}.{table}")).collect();
    let labels = |done: bool| {
        let chosen = definition.nodes.iter().filter(|node| (node.state == NodeState::Done) == done);
        chosen.map(Node::label).collect::<Vec<_>>().join(", ")
    };
    vec![
        Cell::from(definition.name.clone()),
        Cell::from(definition.state.name()),
        Cell::Int(i64::try_from(definition.age_s).unwrap_or(i64::MAX)),
        Cell::from(tables.join(", ")),
        Cell::from(labels(true)),
        Cell::from(labels(false)),
        Cell::from(definition.message.clone()),
        Cell::from(String::from_utf8_lossy(&definition.statement).into_owned()),
    ]
}
