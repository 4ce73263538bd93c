//! The settings of the proxy.

use std::path::PathBuf;
use std::sync::Arc;

use super::server::{self, Defaults};
use super::url::parse_port;
use crate::config::group::{Address, Group, GroupId};
use crate::config::keys;
use crate::config::problem::Place;
use crate::config::proxy::{
    ClientTls, ClientTlsFiles, HealthCheck, Limits, Listen, Proxy, Reads, Recovery, Scratch, ScratchPlace,
};
use crate::config::reader::{Context, MapReader};

/// Reads all settings of the top level.
pub(super) fn read(top: MapReader<'_>, groups: &[Group]) -> Proxy {
    Proxy {
        listen: listen(top.map_or_defaults("listen", &keys::LISTEN)),
        tls: client_tls(top),
        limits: limits(top.map_or_defaults("limits", &keys::LIMITS)),
        reads: reads(top.map_or_defaults("reads", &keys::READS)),
        health: health(top.map_or_defaults("health", &keys::HEALTH)),
        recovery: recovery(top.map_or_defaults("recovery", &keys::RECOVERY)),
        scratch: scratch(top.map_or_defaults("scratch", &keys::SCRATCH), groups),
    }
}

fn listen(map: MapReader<'_>) -> Listen {
    let mysql: Vec<Address> =
        map.texts("mysql").iter().filter_map(|(text, place)| address(map.context, place, text)).collect();
    let admin = map.text("admin").filter(|text| text != "off");
    let admin = admin.and_then(|text| address(map.context, map.place_of("admin"), &text));
    let mut all: Vec<&Address> = mysql.iter().chain(&admin).collect();
    all.sort();
    if let Some([twice, _]) = all.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        map.context.problem(map.place, format!("two listeners at {twice}"), "give each an address of its own");
    }
    Listen { mysql, admin }
}

fn address(context: &Context<'_>, place: &Place, text: &str) -> Option<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Some(Address::Unix(PathBuf::from(path)));
    }
    let wrong = |text: String, fix: String| context.problem(place, text, fix);
    let Some((host, port)) = text.rsplit_once(':') else {
        wrong(format!("'{text}' is no address"), "write host:port, [::1]:port or unix:/path".into());
        return None;
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match parse_port(port) {
        Ok(port) => Some(Address::Tcp { host: Arc::from(if host.is_empty() { "0.0.0.0" } else { host }), port }),
        Err((text, fix)) => {
            wrong(text, fix);
            None
        }
    }
}

fn client_tls(top: MapReader<'_>) -> ClientTls {
    let place = top.place_of("tls");
    let Some(map) = top.map("tls", &keys::CLIENT_TLS) else { return ClientTls::Off };
    let mode = map.word("mode").unwrap_or("off");
    let (certificate, key, client_ca) = (map.path("certificate"), map.path("key"), map.path("client_ca"));
    match (mode, certificate, key) {
        ("off", ..) => ClientTls::Off,
        (mode, Some(certificate), Some(key)) => {
            let files = ClientTlsFiles { certificate, key, client_ca };
            if mode == "required" { ClientTls::Required(files) } else { ClientTls::Optional(files) }
        }
        _ => {
            top.context.problem(place, "tls without 'certificate' and 'key'", "give both, or mode: off");
            ClientTls::Off
        }
    }
}

fn limits(map: MapReader<'_>) -> Limits {
    Limits {
        max_connections: map.number("max_connections"),
        max_allowed_packet_bytes: map.number("max_allowed_packet_bytes"),
        handshake_timeout_ms: map.number("handshake_timeout_ms"),
        idle_timeout_ms: map.number("idle_timeout_ms"),
        write_timeout_ms: map.number("write_timeout_ms"),
        statement_timeout_ms: map.number("statement_timeout_ms"),
        max_prepared_statements: map.number("max_prepared_statements"),
        max_cursors: map.number("max_cursors"),
        max_statements_per_query: map.number("max_statements_per_query"),
        max_fan_out: map.number("max_fan_out"),
        max_buffered_bytes: map.number("max_buffered_bytes"),
        merge_buffer_bytes: map.number("merge_buffer_bytes"),
        plan_cache_entries: map.number("plan_cache_entries"),
        plan_cache_statement_bytes: map.number("plan_cache_statement_bytes"),
        digest_entries: map.number("digest_entries"),
        catalog_entries: map.number("catalog_entries"),
        catalog_age_ms: map.number("catalog_age_ms"),
        drain_deadline_ms: map.number("drain_deadline_ms"),
    }
}

fn reads(map: MapReader<'_>) -> Reads {
    Reads { split: map.flag("split"), read_after_write_ms: map.number("read_after_write_ms") }
}

fn health(map: MapReader<'_>) -> HealthCheck {
    HealthCheck {
        interval_ms: map.number("interval_ms"),
        timeout_ms: map.number("timeout_ms"),
        failures: map.number("failures"),
        successes: map.number("successes"),
    }
}

fn recovery(map: MapReader<'_>) -> Recovery {
    Recovery { interval_ms: map.number("interval_ms"), grace_ms: map.number("grace_ms") }
}

fn scratch(map: MapReader<'_>, groups: &[Group]) -> Scratch {
    Scratch {
        place: scratch_place(map, groups),
        max_rows: map.number("max_rows"),
        max_bytes: map.number("max_bytes"),
        max_concurrent: map.number("max_concurrent"),
        timeout_ms: map.number("timeout_ms"),
    }
}

fn scratch_place(map: MapReader<'_>, groups: &[Group]) -> ScratchPlace {
    if let Some(server) = map.map("server", &keys::SERVER) {
        if map.node("groups").is_some() {
            map.context.problem(map.place_of("groups"), "scratch with 'server' and 'groups'", "keep one of them");
        }
        if let Some(server) = server::read(server, &Defaults::default()) {
            return ScratchPlace::Server(Box::new(server));
        }
    }
    let use_replicas = map.word("role") != Some("primary");
    let all = || (0..groups.len()).filter_map(|index| u16::try_from(index).ok()).map(GroupId).collect();
    if map.node("groups").is_none() {
        return ScratchPlace::Groups { groups: all(), use_replicas };
    }
    let mut named = Vec::new();
    for (name, place) in map.texts("groups") {
        match groups.iter().position(|group| *group.name == *name).and_then(|index| u16::try_from(index).ok()) {
            Some(index) => named.push(GroupId(index)),
            None => map.context.unknown(place, "group", &name, groups.iter().map(|group| &*group.name)),
        }
    }
    ScratchPlace::Groups { groups: named, use_replicas }
}
