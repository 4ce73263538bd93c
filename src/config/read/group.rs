//! `groups` and `pool`.

use std::sync::Arc;

use super::server::{self, Defaults};
use crate::config::group::{Group, PoolLimits};
use crate::config::keys;
use crate::config::names::check_name;
use crate::config::reader::{Context, MapReader};
use crate::config::yaml::{Name, Node};

/// Reads one group; `pool` is that of the top level.
pub(super) fn read<'a>(
    context: &'a Context<'a>,
    name: &'a Name,
    node: &'a Node,
    pool: Option<MapReader<'a>>,
) -> Option<Group> {
    check_name(context, &name.place, "group", &name.text);
    let map = MapReader::open(context, &keys::GROUP, &name.place, node)?;
    let defaults = Defaults { user: map.text("user"), password: map.text("password"), tls: server::tls(map) };
    let primary = map.map("primary", &keys::SERVER).and_then(|map| server::read(map, &defaults));
    let replicas = map.node("replicas").map_or_else(Vec::new, |node| server::read_all(context, node, &defaults));
    let pool = read_pool(map, pool);
    let primary = primary?;
    let group = Group { name: Arc::from(name.text.as_str()), primary, replicas, pool };
    let mut seen = Vec::new();
    for server in group.servers() {
        if seen.contains(&&server.address) {
            let text = format!("two servers of group '{}' at {}", group.name, server.address);
            context.problem(&name.place, text, "name each server once");
        }
        seen.push(&server.address);
    }
    Some(group)
}

/// The keys of the group's `pool` win over those at the top level.
fn read_pool<'a>(map: MapReader<'a>, top: Option<MapReader<'a>>) -> PoolLimits {
    let own = map.map("pool", &keys::POOL);
    let top = top.unwrap_or_else(|| MapReader::empty(map.context, &keys::POOL, map.place));
    let at = |key: &str| own.filter(|own| own.node(key).is_some()).unwrap_or(top);
    PoolLimits {
        max_connections: at("max_connections").number("max_connections"),
        wait_queue: at("wait_queue").number("wait_queue"),
        wait_timeout_ms: at("wait_timeout_ms").number("wait_timeout_ms"),
        connect_timeout_ms: at("connect_timeout_ms").number("connect_timeout_ms"),
        idle_timeout_ms: at("idle_timeout_ms").number("idle_timeout_ms"),
        lifetime_ms: at("lifetime_ms").number("lifetime_ms"),
        ping_after_idle_ms: at("ping_after_idle_ms").number("ping_after_idle_ms"),
        max_statements: at("max_statements").number("max_statements"),
    }
}
