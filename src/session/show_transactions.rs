//! SHOW SHARDLOOM TRANSACTIONS: those over several groups, running and in doubt.

use std::collections::BTreeMap;

use super::answer::{Cell, Column};
use super::{Failure, Session};
use crate::txn::{Gtrid, InDoubt, Phase, Running};

impl Session {
    /// One row for each transaction over several groups that this proxy runs, then one for each that some group has
    /// prepared and no session of this proxy runs.
    pub(super) async fn show_transactions(&mut self) -> Result<(), Failure> {
        let mut rows: Vec<Vec<Cell>> =
            self.shared.coordinator.running().iter().map(|running| running_row(running)).collect();
        let mut in_doubt: BTreeMap<Gtrid, Vec<InDoubt>> = BTreeMap::new();
        for branch in self.shared.recovery.in_doubt() {
            in_doubt.entry(branch.xid.gtrid).or_default().push(branch);
        }
        rows.extend(in_doubt.iter().map(|(gtrid, branches)| in_doubt_row(gtrid, branches)));
        let columns = [
            Column::Text("Transaction", 64),
            Column::Text("State", 16),
            Column::Int("Age_s"),
            Column::Int("Session"),
            Column::Text("Anchor", 64),
            Column::Text("Participants", 4096),
        ];
        self.answer_rows(&columns, &rows).await
    }
}

fn running_row(running: &Running) -> Vec<Cell> {
    let state = match running.phase() {
        Phase::Active => "active",
        Phase::Preparing => "preparing",
        Phase::Committing => "committing",
    };
    let participants = running.participants();
    let names: Vec<&str> = participants.iter().map(|participant| &*participant.group).collect();
    vec![
        Cell::from(running.gtrid.to_string()),
        Cell::from(state),
        Cell::Int(running.since.elapsed().as_secs() as i64),
        Cell::Int(i64::from(running.session)),
        names.first().map_or(Cell::Null, |name| Cell::from(*name)),
        Cell::from(names.join(", ")),
    ]
}

/// Of a transaction in doubt it is known which groups have it prepared, and since when this proxy sees that.
fn in_doubt_row(gtrid: &Gtrid, branches: &[InDoubt]) -> Vec<Cell> {
    let age = branches.iter().map(|branch| branch.first_seen.elapsed().as_secs()).max().unwrap_or(0);
    let names: Vec<&str> = branches.iter().map(|branch| &*branch.group).collect();
    let anchor = branches.iter().find_map(|branch| branch.anchor.as_deref());
    vec![
        Cell::from(gtrid.to_string()),
        Cell::from("in doubt"),
        Cell::Int(age as i64),
        Cell::Null,
        anchor.map_or(Cell::Null, Cell::from),
        Cell::from(names.join(", ")),
    ]
}
