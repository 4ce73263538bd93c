//! `primary`, `replicas`, `scratch.server`, and TLS towards them.

use std::path::PathBuf;
use std::sync::Arc;

use super::url::{self, Url};
use crate::config::group::{Address, Server, ServerKind, ServerTls, TlsMode};
use crate::config::keys;
use crate::config::reader::{Context, MapReader};
use crate::config::secret::Secret;
use crate::config::yaml::{Node, Value};

/// What servers take from their group.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) tls: Option<ServerTls>,
}

const DEFAULT_PORT: u16 = 3306;

/// Reads one server.
pub(super) fn read(map: MapReader<'_>, defaults: &Defaults) -> Option<Server> {
    let context = map.context;
    let url = read_url(map)?;
    let kind = match url.scheme.as_str() {
        "" | "mysql" | "mariadb" => ServerKind::MySql,
        "postgres" | "postgresql" => {
            let fix = "use a MySQL or MariaDB server: mysql://user@host:port";
            context.problem(map.place_of("url"), "PostgreSQL servers are not supported yet", fix);
            return None;
        }
        other => {
            context.problem(
                map.place_of("url"),
                format!("unknown scheme '{other}://'"),
                "write mysql:// or mariadb://",
            );
            return None;
        }
    };
    let address = address(map, &url)?;
    let user = both(map, "user", url.user).or_else(|| defaults.user.clone());
    let Some(user) = user else {
        context.problem(map.place, "server without user", "name it in the url, as mysql://user@host, or as 'user'");
        return None;
    };
    let password = both(map, "password", url.password).or_else(|| defaults.password.clone());
    let tls = tls(map).or_else(|| defaults.tls.clone()).unwrap_or(ServerTls::OFF);
    let name = map.text("name").unwrap_or_else(|| address.to_string());
    let weight = map.number("weight");
    Some(Server {
        name: Arc::from(name),
        address,
        user: Arc::from(user),
        password: Secret::new(password.unwrap_or_default()),
        tls,
        weight,
        kind,
    })
}

fn read_url(map: MapReader<'_>) -> Option<Url> {
    let Some(node) = map.node("url") else { return Some(Url::default()) };
    let Value::Scalar(text) = &node.value else {
        map.context.text(node, "a url");
        return None;
    };
    let url = url::parse(text, map.context.environment);
    url.map_err(|(text, fix)| map.context.problem(&node.place, text, fix)).ok()
}

/// A value that stands in the url or beside it, but not in both.
fn both(map: MapReader<'_>, key: &str, in_url: Option<String>) -> Option<String> {
    let beside = map.node(key).and_then(|_| map.text(key));
    if beside.is_some() && in_url.is_some() {
        map.context.problem(map.place_of(key), format!("'{key}' stands in the url too"), "keep one of them");
    }
    beside.or(in_url)
}

fn address(map: MapReader<'_>, url: &Url) -> Option<Address> {
    let context = map.context;
    let host = both(map, "host", url.host.clone());
    if let Some(socket) = both(map, "socket", url.socket.clone()) {
        if host.as_deref().is_some_and(|host| host != "localhost") || url.port.is_some() || map.node("port").is_some() {
            context.problem(map.place_of("socket"), "a socket, and a host or a port", "keep one of them");
        }
        return Some(Address::Unix(PathBuf::from(socket)));
    }
    let Some(host) = host else {
        context.problem(map.place, "server without address", "write url: mysql://user@host:port, or host, or socket");
        return None;
    };
    let port = match (map.node("port"), url.port) {
        (Some(_), Some(port)) => {
            context.problem(map.place_of("port"), "'port' stands in the url too", "keep one of them");
            port
        }
        (Some(_), None) => map.number("port"),
        (None, port) => port.unwrap_or(DEFAULT_PORT),
    };
    Some(Address::Tcp { host: Arc::from(host), port })
}

/// Reads `tls` of a group or a server; `None` when it is not there.
pub(super) fn tls(map: MapReader<'_>) -> Option<ServerTls> {
    let place = map.place_of("tls");
    let map = map.map("tls", &keys::SERVER_TLS)?;
    let mode = match map.word("mode")? {
        "off" => TlsMode::Off,
        "preferred" => TlsMode::Preferred,
        "verify_ca" => TlsMode::VerifyCa,
        "verify_identity" => TlsMode::VerifyIdentity,
        _ => TlsMode::Required,
    };
    let ca = map.path("ca");
    if mode >= TlsMode::VerifyCa && ca.is_none() {
        let fix = "add 'ca': path of the CA's certificates";
        map.context.problem(place, "tls that verifies the server, without 'ca'", fix);
    }
    let identity = match (map.path("certificate"), map.path("key")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            map.context.problem(place, "tls with one of 'certificate' and 'key'", "give both or none");
            None
        }
    };
    Some(ServerTls { mode, ca, identity, server_name: map.text("server_name").map(Arc::from) })
}

/// Reads a list of servers.
pub(super) fn read_all<'a>(context: &'a Context<'a>, node: &'a Node, defaults: &Defaults) -> Vec<Server> {
    let open = |node: &'a Node| MapReader::open(context, &keys::SERVER, &node.place, node);
    context.entries(node).iter().filter_map(|node| read(open(node)?, defaults)).collect()
}
