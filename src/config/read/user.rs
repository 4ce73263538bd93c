//! `users`.

use std::sync::Arc;

use crate::config::keys;
use crate::config::problem::Place;
use crate::config::proxy::{AuthPlugin, User};
use crate::config::reader::{Context, MapReader};
use crate::config::secret::Secret;
use crate::config::yaml::Node;

/// Reads one user; `schemas` are the names of the logical schemas.
pub(super) fn read<'a>(context: &'a Context<'a>, node: &'a Node, schemas: &[&str]) -> Option<(User, &'a Place)> {
    let map = MapReader::open(context, &keys::USER, &node.place, node)?;
    let allowed = map.node("schemas").map(|_| map.texts("schemas"));
    if let Some(allowed) = &allowed {
        for (name, place) in allowed.iter().filter(|(name, _)| name != "*" && !schemas.contains(&name.as_str())) {
            context.unknown(place, "schema", name, schemas.iter().copied());
        }
    }
    let allowed = allowed.filter(|allowed| !allowed.iter().any(|(name, _)| name == "*"));
    let plugin = match map.word("plugin") {
        Some("mysql_native_password") => AuthPlugin::MysqlNativePassword,
        _ => AuthPlugin::CachingSha2Password,
    };
    let user = User {
        name: Arc::from(map.text("name")?),
        password: Secret::new(map.text("password")?),
        schemas: allowed.map(|allowed| allowed.into_iter().map(|(name, _)| Arc::from(name)).collect()),
        plugin,
        require_tls: map.flag("require_tls"),
        max_connections: map.number("max_connections"),
    };
    Some((user, map.place_of("name")))
}
