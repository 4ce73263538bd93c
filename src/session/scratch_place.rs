//! The server that temporary tables are on: how its connection is set, and what things are called there.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backend::{Settings, Variables};
use crate::config::GroupId;
use crate::plan::types::{NameEntry, NameMap, ScratchBound, ScratchPlace, ScratchRead, ShardStatement};

/// How connections are set while temporary tables are filled: texts as UTF-8, backslashes as escapes, every date that a
/// column can hold, moments in UTC.
const LOADING: &[(&str, &str)] = &[
    ("autocommit", "1"),
    ("character_set_client", "'utf8mb4'"),
    // rows of a file may wait for a shard; `scratch.timeout_ms` is what ends that
    ("net_read_timeout", "86400"),
    ("character_set_results", "'utf8mb4'"),
    ("collation_connection", "'utf8mb4_general_ci'"),
    ("sql_mode", "'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'"),
    ("time_zone", "'+00:00'"),
];

/// How connections are set while temporary tables are filled.
pub(super) fn loading(place: &ScratchPlace) -> Settings {
    let vars = LOADING.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Settings::new(Some(Arc::clone(&place.schema)), Variables::new(vars.collect::<BTreeMap<_, _>>()))
}

/// The group of a lane to a place; of one that is in no group it is never asked.
pub(super) fn group_of(place: &ScratchPlace) -> GroupId {
    place.group.unwrap_or(GroupId(0))
}

/// The client's statement over temporary tables.
pub(super) fn statement(scratch: &ScratchBound, place: &ScratchPlace) -> ShardStatement {
    ShardStatement {
        node: Arc::clone(&place.label),
        group: group_of(place),
        schema: Some(Arc::clone(&place.schema)),
        sql: scratch.sql.clone(),
        params: scratch.params.clone(),
        names: None,
        rows: None,
    }
}

/// The temporary tables by the names of what they stand for.
pub(super) fn names(scratch: &ScratchBound, place: &ScratchPlace) -> NameMap {
    let entry = |read: &ScratchRead| NameEntry {
        physical_schema: Arc::clone(&place.schema),
        physical_table: Arc::from(&*read.table.name),
        schema: Arc::clone(&read.schema),
        table: Arc::clone(&read.name),
    };
    NameMap { entries: scratch.reads.iter().map(entry).collect(), views: Vec::new() }
}

/// The names of tables on their shards.
pub(super) fn names_of(shards: &[ShardStatement]) -> NameMap {
    let names = shards.first().and_then(|shard| shard.names.as_deref());
    names.cloned().unwrap_or_default()
}
