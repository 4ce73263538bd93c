//! The tables in which definitions are written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Definition, Node, NodeState, State};
use crate::backend::{BackendError, Backends, Row, text};
use crate::config::GroupId;

/// ER_BAD_DB_ERROR and ER_NO_SUCH_TABLE: nothing was ever written down here.
const NOT_THERE: [u16; 2] = [1049, 1146];
/// How many definitions of a group are read at most, the newest first.
const MAX_LISTED: usize = 1_000;
const MAKE: [&str; 3] = [
    "CREATE DATABASE IF NOT EXISTS `shardloom`",
    "CREATE TABLE IF NOT EXISTS `shardloom`.`definitions` (\
     `definition` VARBINARY(64) NOT NULL PRIMARY KEY, \
     `tables` BLOB NOT NULL, \
     `statement` LONGBLOB NOT NULL, \
     `settings` BLOB NOT NULL, \
     `is_resumable` TINYINT NOT NULL, \
     `state` ENUM('running','done','failed','interrupted') CHARACTER SET ascii NOT NULL, \
     `message` BLOB NOT NULL, \
     `begun_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS `shardloom`.`definition_nodes` (\
     `definition` VARBINARY(64) NOT NULL, \
     `number` INT NOT NULL, \
     `group_name` BLOB NOT NULL, \
     `in_schema` BLOB, \
     `schema_name` BLOB, \
     `table_name` BLOB, \
     `statement` LONGBLOB NOT NULL, \
     `was` BIGINT UNSIGNED NOT NULL, \
     `state` ENUM('waiting','done','failed') CHARACTER SET ascii NOT NULL, \
     PRIMARY KEY (`definition`, `number`)) ENGINE=InnoDB",
];
const SELECT: &str = "SELECT `definition`, `tables`, `statement`, `settings`, `is_resumable`, `state`, `message`, \
                      GREATEST(TIMESTAMPDIFF(SECOND, `begun_at`, NOW()), 0) FROM `shardloom`.`definitions`";

/// A definition that runs, and where it is written down.
#[derive(Debug)]
pub struct Recording {
    backends: Arc<Backends>,
    group: GroupId,
    name: String,
}

/// Writes a definition down on a group, before anything of it is done. Its name is made here.
pub async fn begin(
    backends: &Arc<Backends>,
    group: GroupId,
    instance: u64,
    definition: &Definition,
) -> Result<Recording, BackendError> {
    let name = new_name(instance);
    let row = row_of(&name, definition, State::Running);
    let nodes: Vec<String> =
        definition.nodes.iter().enumerate().map(|(number, node)| node_row(&name, number, node)).collect();
    let nodes = format!("INSERT INTO `shardloom`.`definition_nodes` VALUES {}", nodes.join(", "));
    // the nodes come first: a record that is there is whole
    let steps = [nodes.as_str(), row.as_str()];
    if let Err(error) = backends.decide_all(group, &steps).await {
        match error {
            BackendError::Server(error) if NOT_THERE.contains(&error.errno) => {
                for statement in MAKE {
                    backends.decide(group, statement).await?;
                }
                backends.decide_all(group, &steps).await?;
            }
            error => return Err(error),
        }
    }
    Ok(Recording { backends: Arc::clone(backends), group, name })
}

/// Tells the other proxies of a definition on one node that is done, where anything is written down on its group at all.
pub async fn note_single(backends: &Backends, group: GroupId, instance: u64, tables: &[(String, String)]) {
    let definition = Definition {
        name: String::new(),
        tables: tables.to_vec(),
        statement: Vec::new(),
        settings: Vec::new(),
        is_resumable: false,
        state: State::Done,
        message: String::new(),
        age_s: 0,
        nodes: Vec::new(),
    };
    let row = row_of(&new_name(instance), &definition, State::Done);
    if let Err(error) = backends.decide(group, &row).await {
        tracing::debug!(group = %backends.group(group).name(), %error, "other proxies are not told of a definition");
    }
}

fn new_name(instance: u64) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let begun_unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    format!("{instance:016x}.{begun_unix_ms:x}.{:x}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn row_of(name: &str, definition: &Definition, state: State) -> String {
    let tables: Vec<String> = definition.tables.iter().map(|(schema, table)| format!("{schema}\0{table}")).collect();
    let settings: Vec<String> =
        definition.settings.iter().map(|(name, literal)| format!("{name}\0{literal}")).collect();
    // IGNORE: a control connection that breaks is tried twice
    format!(
        "INSERT IGNORE INTO `shardloom`.`definitions` \
         (`definition`, `tables`, `statement`, `settings`, `is_resumable`, `state`, `message`) \
         VALUES ('{name}', {}, {}, {}, {}, '{}', '')",
        bytes(tables.join("\0").as_bytes()),
        bytes(&definition.statement),
        bytes(settings.join("\0").as_bytes()),
        u8::from(definition.is_resumable),
        state.name()
    )
}

fn node_row(name: &str, number: usize, node: &Node) -> String {
    let optional = |text: Option<&str>| text.map_or_else(|| "NULL".to_owned(), |text| bytes(text.as_bytes()));
    format!(
        "('{name}', {number}, {}, {}, {}, {}, {}, {}, 'waiting')",
        bytes(node.group.as_bytes()),
        optional(node.schema.as_deref()),
        optional(node.table.as_ref().map(|(schema, _)| &**schema)),
        optional(node.table.as_ref().map(|(_, table)| &**table)),
        bytes(&node.statement),
        node.was
    )
}

impl Recording {
    /// Ticks a node off. What cannot be written now is found out by looking at the node's table.
    pub async fn tick(&self, number: usize, state: NodeState) {
        let sql = tick_statement(&self.name, number, state);
        if let Err(error) = self.backends.decide(self.group, &sql).await {
            tracing::warn!(definition = %self.name, %error, "a node's part of a definition is not ticked off");
        }
    }

    /// Notes how it ended. A record that stays open is closed by whoever looks at it next.
    pub async fn end(&self, state: State, message: &str) {
        if let Err(error) = end(&self.backends, self.group, &self.name, state, message).await {
            tracing::warn!(definition = %self.name, %error, "the end of a definition is not written down");
        }
    }
}

fn tick_statement(name: &str, number: usize, state: NodeState) -> String {
    format!(
        "UPDATE `shardloom`.`definition_nodes` SET `state` = '{}' WHERE `definition` = '{name}' AND `number` = {number}",
        state.name()
    )
}

/// Ticks off a node of a definition that is carried on.
pub(super) async fn tick(
    backends: &Backends,
    group: GroupId,
    name: &str,
    number: usize,
    state: NodeState,
) -> Result<(), BackendError> {
    backends.decide(group, &tick_statement(name, number, state)).await.map(drop)
}

/// Notes how a definition ended.
pub(super) async fn end(
    backends: &Backends,
    group: GroupId,
    name: &str,
    state: State,
    message: &str,
) -> Result<(), BackendError> {
    let sql = format!(
        "UPDATE `shardloom`.`definitions` SET `state` = '{}', `message` = {} WHERE `definition` = '{name}'",
        state.name(),
        bytes(message.as_bytes())
    );
    backends.decide(group, &sql).await.map(drop)
}

/// The definitions that are written down on a group, the newest first, without their nodes.
pub async fn list(backends: &Backends, group: GroupId) -> Result<Vec<Definition>, BackendError> {
    let sql = format!("{SELECT} ORDER BY `begun_at` DESC, `definition` DESC LIMIT {MAX_LISTED}");
    let rows = there(backends.query(group, &sql).await)?;
    Ok(rows.iter().filter_map(definition).collect())
}

/// A definition with its nodes, if it is still running.
pub(super) async fn running(
    backends: &Backends,
    group: GroupId,
    name: &str,
) -> Result<Option<Definition>, BackendError> {
    let sql = format!("{SELECT} WHERE `definition` = '{name}' AND `state` = 'running'");
    let rows = there(backends.query(group, &sql).await)?;
    let Some(mut found) = rows.first().and_then(definition) else { return Ok(None) };
    found.nodes = nodes(backends, group, name).await?;
    Ok(Some(found))
}

/// The nodes of a definition.
pub async fn nodes(backends: &Backends, group: GroupId, name: &str) -> Result<Vec<Node>, BackendError> {
    let sql = format!(
        "SELECT `group_name`, `in_schema`, `schema_name`, `table_name`, `statement`, `was`, `state` \
         FROM `shardloom`.`definition_nodes` WHERE `definition` = {} ORDER BY `number`",
        bytes(name.as_bytes())
    );
    let rows = there(backends.query(group, &sql).await)?;
    Ok(rows.iter().filter_map(node).collect())
}

/// The definitions of these tables on a group that are running, or were left so.
pub async fn unfinished(
    backends: &Backends,
    group: GroupId,
    tables: &[(String, String)],
) -> Result<Vec<String>, BackendError> {
    let sql = format!("{SELECT} WHERE `state` = 'running'");
    let rows = there(backends.query(group, &sql).await)?;
    let same = |one: &(String, String), other: &(String, String)| {
        one.0.eq_ignore_ascii_case(&other.0) && one.1.eq_ignore_ascii_case(&other.1)
    };
    let about = |found: &Definition| found.tables.iter().any(|one| tables.iter().any(|other| same(one, other)));
    Ok(rows.iter().filter_map(definition).filter(about).map(|found| found.name).collect())
}

/// Removes the records that nobody needs any more.
pub(super) async fn remove_old(backends: &Backends, group: GroupId) -> Result<(), BackendError> {
    const OLD: &str = "(`state` = 'done' AND `begun_at` < NOW() - INTERVAL 1 HOUR) OR \
                       (`state` IN ('failed', 'interrupted') AND `begun_at` < NOW() - INTERVAL 7 DAY)";
    let nodes = format!(
        "DELETE FROM `shardloom`.`definition_nodes` WHERE `definition` IN \
         (SELECT `definition` FROM `shardloom`.`definitions` WHERE {OLD})"
    );
    there(backends.decide(group, &nodes).await)?;
    there(backends.decide(group, &format!("DELETE FROM `shardloom`.`definitions` WHERE {OLD}")).await).map(drop)
}

/// The rows of an answer; none where there is no such table.
fn there(answer: Result<crate::backend::Answer, BackendError>) -> Result<Vec<Row>, BackendError> {
    match answer {
        Ok(answer) => Ok(answer.rows),
        Err(BackendError::Server(error)) if NOT_THERE.contains(&error.errno) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn definition(row: &Row) -> Option<Definition> {
    Some(Definition {
        name: text(row, 0).into_owned(),
        tables: pairs(&text(row, 1)),
        statement: row.get(2)?.as_ref()?.to_vec(),
        settings: pairs(&text(row, 3)),
        is_resumable: text(row, 4) == "1",
        state: State::of_name(&text(row, 5))?,
        message: text(row, 6).into_owned(),
        age_s: text(row, 7).parse().ok()?,
        nodes: Vec::new(),
    })
}

fn node(row: &Row) -> Option<Node> {
    let optional = |column: usize| row.get(column)?.as_ref().map(|_| Arc::<str>::from(&*text(row, column)));
    let state = match &*text(row, 6) {
        "waiting" => NodeState::Waiting,
        "done" => NodeState::Done,
        _ => NodeState::Failed,
    };
    Some(Node {
        group: text(row, 0).into(),
        schema: optional(1),
        table: optional(2).zip(optional(3)),
        statement: row.get(4)?.as_ref()?.to_vec(),
        was: text(row, 5).parse().ok()?,
        state,
    })
}

/// `a\0b\0c\0d` as pairs.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut parts = text.split('\0');
    let mut pairs = Vec::new();
    while let (Some(first), Some(second)) = (parts.next(), parts.next()) {
        pairs.push((first.to_owned(), second.to_owned()));
    }
    pairs
}

/// Bytes as a literal that no sql_mode and no character set reads otherwise.
fn bytes(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "''".to_owned();
    }
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}
