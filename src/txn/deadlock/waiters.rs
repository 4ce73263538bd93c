//! Which connections of a group belong to a transaction that waits: noted there by the proxy that runs it, read by the others.
//!
//! Rows of the table `waiters` in the schema `shardloom`, written only while a statement waits for a lock. One that was not
//! written again for a while counts for nothing.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::Owners;
use crate::backend::{BackendError, Backends, text};
use crate::config::GroupId;
use crate::txn::xid::Gtrid;

/// How long a row counts, by the server's clock.
const LIFE_S: u32 = 3;
/// ER_BAD_DB_ERROR and ER_NO_SUCH_TABLE.
const NOT_THERE: [u16; 2] = [1049, 1146];
const MAKE: [&str; 2] = [
    "CREATE DATABASE IF NOT EXISTS `shardloom`",
    "CREATE TABLE IF NOT EXISTS `shardloom`.`waiters` (\
     `thread` BIGINT UNSIGNED NOT NULL PRIMARY KEY, \
     `transaction` VARBINARY(64) NOT NULL, \
     `seen_at` TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) ENGINE=InnoDB",
];

/// Notes connections on their groups. What cannot be noted is not seen by others.
pub(super) async fn note<'a>(backends: &Backends, waiting: impl Iterator<Item = (&'a (GroupId, u32), &'a Gtrid)>) {
    let mut by_group: BTreeMap<GroupId, Vec<String>> = BTreeMap::new();
    for ((group, thread), gtrid) in waiting {
        by_group.entry(*group).or_default().push(format!("({thread}, '{gtrid}', NOW(6))"));
    }
    join_all(by_group.into_iter().map(|(group, rows)| async move {
        if let Err(error) = note_on(backends, group, &rows).await {
            tracing::debug!(group = %backends.group(group).name(), %error, "who waits there is not told to others");
        }
    }))
    .await;
}

async fn note_on(backends: &Backends, group: GroupId, rows: &[String]) -> Result<(), BackendError> {
    let replace =
        format!("REPLACE INTO `shardloom`.`waiters` (`thread`, `transaction`, `seen_at`) VALUES {}", rows.join(", "));
    let forget = "DELETE FROM `shardloom`.`waiters` WHERE `seen_at` < NOW(6) - INTERVAL 1 MINUTE";
    match backends.query(group, &replace).await {
        Err(BackendError::Server(error)) if NOT_THERE.contains(&error.errno) => {
            for statement in MAKE {
                backends.query(group, statement).await?;
            }
            backends.query(group, &replace).await?;
        }
        noted => drop(noted?),
    }
    backends.query(group, forget).await.map(drop)
}

/// The connections on these groups whose transactions wait, of all proxies.
pub(super) async fn of_others(backends: &Backends, groups: &BTreeSet<GroupId>) -> Owners {
    let sql = format!(
        "SELECT `thread`, `transaction` FROM `shardloom`.`waiters` WHERE `seen_at` > NOW(6) - INTERVAL {LIFE_S} SECOND"
    );
    let sql = sql.as_str();
    let asked = join_all(groups.iter().map(|&group| async move {
        let rows = backends.query(group, sql).await.map(|answer| answer.rows).unwrap_or_default();
        let owner =
            |row: &crate::backend::Row| Some(((group, text(row, 0).parse().ok()?), Gtrid::parse(&text(row, 1))?));
        rows.iter().filter_map(owner).collect::<Vec<_>>()
    }));
    asked.await.into_iter().flatten().collect()
}
