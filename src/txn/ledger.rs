//! The decisions of transactions over several groups: rows in the schema `shardloom` of each group.
//!
//! A row of `decisions` says what became of a transaction whose anchor is that group. Its primary key is the transaction's
//! name, so there is one row at most: whoever writes it first has decided. The coordinator writes *commit* inside of the
//! anchor's own transaction; whoever finds a transaction that nobody finishes writes *abort*.

use crate::backend::{BackendError, Backends, ServerError, text};
use crate::config::GroupId;

use super::xid::{GroupTag, Gtrid, Xid};

/// ER_DUP_ENTRY: the decision was made.
const DUPLICATE: u16 = 1062;
/// ER_BAD_DB_ERROR and ER_NO_SUCH_TABLE: nothing was ever decided here.
const NOT_THERE: [u16; 2] = [1049, 1146];
/// ER_XAER_NOTA: no such branch, or it is still held by the connection that prepared it.
const UNKNOWN_BRANCH: u16 = 1397;

/// What makes the schema. `identity` has one row: a number that no other schema has.
const MAKE: [&str; 3] = [
    "CREATE DATABASE IF NOT EXISTS `shardloom`",
    "CREATE TABLE IF NOT EXISTS `shardloom`.`identity` (\
     `one` TINYINT NOT NULL PRIMARY KEY, `number` BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS `shardloom`.`decisions` (\
     `transaction` VARBINARY(64) NOT NULL PRIMARY KEY, \
     `decision` ENUM('commit','abort') CHARACTER SET ascii NOT NULL, \
     `participants` BLOB NOT NULL, \
     `decided_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE=InnoDB",
];
const READ_IDENTITY: &str = "SELECT `number` FROM `shardloom`.`identity` WHERE `one` = 1";

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// All branches commit.
    Commit,
    /// All branches roll back.
    Abort,
}

/// The number that a group's schema was born with; the schema is made where it is not there.
pub async fn identity(backends: &Backends, group: GroupId) -> Result<u64, BackendError> {
    let known = match known_identity(backends, group).await? {
        Some(number) => number,
        None => make(backends, group).await?,
    };
    probe(backends, group).await?;
    Ok(known)
}

/// A server that does no XA, or does not let us, says so here, and not behind a client's first statement.
async fn probe(backends: &Backends, group: GroupId) -> Result<(), BackendError> {
    let name = format!("shardloom.probe.{:016x}", rand::random::<u64>());
    let steps = ["START", "END", "ROLLBACK"].map(|step| format!("XA {step} '{name}'"));
    let [start, end, rollback] = &steps;
    backends.decide_all(group, &[start, end, rollback, "XA RECOVER"]).await?;
    let answer = backends.decide(group, "SELECT @@GLOBAL.innodb_rollback_on_timeout").await?;
    if answer.rows.first().is_some_and(|row| text(row, 0) == "1") {
        // Its part of a transaction would be gone after a lock wait timeout, while the others' parts go on.
        let message = format!(
            "Shardloom does not support transactions over several groups with innodb_rollback_on_timeout, which is on in \
             group '{}'; turn it off there, or keep the transaction's rows on one group",
            backends.group(group).name()
        );
        return Err(ServerError { errno: 1235, sqlstate: "42000".to_owned(), message }.into());
    }
    Ok(())
}

/// The number that a group's schema was born with, unless there is none.
pub async fn known_identity(backends: &Backends, group: GroupId) -> Result<Option<u64>, BackendError> {
    match backends.decide(group, READ_IDENTITY).await {
        Ok(answer) => Ok(answer.rows.first().and_then(|row| text(row, 0).parse().ok())),
        Err(BackendError::Server(error)) if NOT_THERE.contains(&error.errno) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn make(backends: &Backends, group: GroupId) -> Result<u64, BackendError> {
    for statement in MAKE {
        backends.decide(group, statement).await?;
    }
    // Whoever comes second reads the number of the first.
    let number: u64 = rand::random();
    let insert = format!("INSERT IGNORE INTO `shardloom`.`identity` (`one`, `number`) VALUES (1, {number})");
    backends.decide(group, &insert).await?;
    Ok(known_identity(backends, group).await?.unwrap_or(number))
}

/// The statement that decides for *commit*, and keeps who takes part.
pub fn commit_row(gtrid: Gtrid, participants: &[GroupTag]) -> String {
    let participants: Vec<String> = participants.iter().map(GroupTag::to_string).collect();
    format!(
        "INSERT INTO `shardloom`.`decisions` (`transaction`, `decision`, `participants`) VALUES ('{gtrid}', 'commit', '{}')",
        participants.join(",")
    )
}

/// Decides for *abort* unless it was decided already, and gives what was decided. Waits (on the server, for a row lock) for
/// a coordinator that is just committing.
pub async fn settle(backends: &Backends, anchor: GroupId, gtrid: Gtrid) -> Result<Option<Decision>, BackendError> {
    let insert = format!(
        "INSERT INTO `shardloom`.`decisions` (`transaction`, `decision`, `participants`) VALUES ('{gtrid}', 'abort', '')"
    );
    match backends.decide(anchor, &insert).await {
        Ok(_) => Ok(Some(Decision::Abort)),
        Err(BackendError::Server(error)) if error.errno == DUPLICATE => decided(backends, anchor, gtrid).await,
        Err(error) => Err(error),
    }
}

/// What was decided, if anything was.
async fn decided(backends: &Backends, anchor: GroupId, gtrid: Gtrid) -> Result<Option<Decision>, BackendError> {
    let sql = format!("SELECT `decision` FROM `shardloom`.`decisions` WHERE `transaction` = '{gtrid}'");
    let answer = backends.decide(anchor, &sql).await?;
    Ok(match answer.rows.first().map(|row| text(row, 0)).as_deref() {
        Some("commit") => Some(Decision::Commit),
        Some("abort") => Some(Decision::Abort),
        _ => None,
    })
}

/// The prepared branches on a group that are ours.
pub async fn prepared(backends: &Backends, group: GroupId) -> Result<Vec<Xid>, BackendError> {
    let answer = backends.decide(group, "XA RECOVER").await?;
    Ok(answer.rows.iter().filter_map(|row| Xid::of_recovered(&text(row, 0), &text(row, 1), &text(row, 3))).collect())
}

/// Ends a prepared branch. False if the server knows no such branch: it has ended, or a living connection holds it.
pub async fn finish(backends: &Backends, group: GroupId, xid: Xid, decision: Decision) -> Result<bool, BackendError> {
    let statement = match decision {
        Decision::Commit => format!("XA COMMIT {xid}"),
        Decision::Abort => format!("XA ROLLBACK {xid}"),
    };
    match backends.decide(group, &statement).await {
        Ok(_) => Ok(true),
        Err(BackendError::Server(error)) if error.errno == UNKNOWN_BRANCH => Ok(false),
        Err(error) => Err(error),
    }
}

/// Decisions for *commit* older than this (by the server's clock) were left by a proxy that is gone.
const OLD_COMMIT_S: u32 = 600;
/// Decisions for *abort* are kept for longer than any server keeps an idle connection open: a coordinator that was halted
/// for as long must still find them. They are few.
const OLD_ABORT_DAYS: u32 = 7;
/// How many old rows are looked at in one go.
const OLD_ROWS: usize = 1_000;

/// A decision that a proxy of the past has left.
#[derive(Debug, Clone)]
pub struct OldCommit {
    /// The transaction.
    pub gtrid: Gtrid,
    /// The groups of its branches.
    pub participants: Vec<GroupTag>,
}

/// Removes decisions.
pub async fn remove(backends: &Backends, group: GroupId, gtrids: &[Gtrid]) -> Result<(), BackendError> {
    if gtrids.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = gtrids.iter().map(|gtrid| format!("'{gtrid}'")).collect();
    let sql = format!("DELETE FROM `shardloom`.`decisions` WHERE `transaction` IN ({})", names.join(","));
    backends.decide(group, &sql).await.map(drop)
}

/// Removes decisions for *abort* that no coordinator can meet any more.
pub async fn remove_old_aborts(backends: &Backends, group: GroupId) -> Result<(), BackendError> {
    let sql = format!(
        "DELETE FROM `shardloom`.`decisions` WHERE `decision` = 'abort' AND \
         `decided_at` < CURRENT_TIMESTAMP - INTERVAL {OLD_ABORT_DAYS} DAY LIMIT {OLD_ROWS}"
    );
    backends.decide(group, &sql).await.map(drop)
}

/// Decisions for *commit* that were left.
pub async fn old_commits(backends: &Backends, group: GroupId) -> Result<Vec<OldCommit>, BackendError> {
    let sql = format!(
        "SELECT `transaction`, `participants` FROM `shardloom`.`decisions` WHERE `decision` = 'commit' AND \
         `decided_at` < CURRENT_TIMESTAMP - INTERVAL {OLD_COMMIT_S} SECOND LIMIT {OLD_ROWS}"
    );
    let answer = backends.decide(group, &sql).await?;
    let rows = answer.rows.iter().filter_map(|row| {
        let participants = text(row, 1);
        let tags = participants.split(',').filter(|tag| !tag.is_empty()).map(GroupTag::parse).collect::<Option<_>>();
        Some(OldCommit { gtrid: Gtrid::parse(&text(row, 0))?, participants: tags? })
    });
    Ok(rows.collect())
}

/// What tells whether decisions were added or removed: how many there are, and a sum over them.
pub type Fingerprint = (String, String);

/// The fingerprint of all decisions on a group but those of one proxy process.
pub async fn fingerprint(backends: &Backends, group: GroupId, but: u64) -> Result<Fingerprint, BackendError> {
    let sql = format!(
        "SELECT COUNT(*), COALESCE(SUM(CRC32(`transaction`)), 0) FROM `shardloom`.`decisions` \
         WHERE `decision` = 'commit' AND `transaction` NOT LIKE '{}%'",
        Gtrid::prefix_of(but)
    );
    match backends.decide(group, &sql).await {
        Ok(answer) => Ok(answer
            .rows
            .first()
            .map(|row| (text(row, 0).into_owned(), text(row, 1).into_owned()))
            .unwrap_or_default()),
        Err(BackendError::Server(error)) if NOT_THERE.contains(&error.errno) => Ok(Fingerprint::default()),
        Err(error) => Err(error),
    }
}
