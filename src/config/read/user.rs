//! `users`.

use std::sync::Arc;

use crate::config::keys;
use crate::config::password::{Password, PasswordHash};
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
        Some("mysql_native_password") => Some(AuthPlugin::MysqlNativePassword),
        Some("caching_sha2_password") => Some(AuthPlugin::CachingSha2Password),
        _ => None,
    };
    let name = map.text("name")?;
    if name.is_empty() {
        context.problem(map.place_of("name"), "a user without a name", "give it one");
    }
    let password = password(context, map, node, plugin)?;
    let user = User {
        name: Arc::from(name),
        password,
        schemas: allowed.map(|allowed| allowed.into_iter().map(|(name, _)| Arc::from(name)).collect()),
        plugin,
        require_tls: map.flag("require_tls"),
        max_connections: map.number("max_connections"),
    };
    Some((user, map.place_of("name")))
}

/// `password` or `password_hash`, one of them.
fn password(context: &Context<'_>, map: MapReader<'_>, node: &Node, plugin: Option<AuthPlugin>) -> Option<Password> {
    match (map.node("password").is_some(), map.node("password_hash").is_some()) {
        (true, false) => map.text("password").map(|text| Password::Plain(Secret::new(text))),
        (false, true) => {
            let text = map.text("password_hash")?;
            let place = map.place_of("password_hash");
            let Some(hash) = PasswordHash::parse(&text) else {
                let right = "write '*' and 40 hexadecimal digits, or '$A$005$…' (also in hexadecimal, after 0x)";
                context.problem(place, "password_hash is no hash of a password", right);
                return None;
            };
            if let Some(plugin) = plugin.filter(|plugin| *plugin != hash.plugin()) {
                let text = format!("plugin: {} cannot check this password_hash", plugin.name());
                context.problem(place, text, format!("write plugin: {}, or leave it out", hash.plugin().name()));
            }
            Some(Password::Hash(hash))
        }
        (true, true) => {
            let place = map.place_of("password_hash");
            context.problem(place, "user with 'password' and 'password_hash'", "keep one of them");
            None
        }
        (false, false) => {
            context.problem(
                &node.place,
                "user without 'password'",
                "add 'password' (\'\' for none) or 'password_hash'",
            );
            None
        }
    }
}
