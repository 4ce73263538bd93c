//! What the backends say of themselves at the start.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::Backends;
use crate::config::{GroupId, Rules};
use crate::protocol::charset;
use crate::session::DefaultCharsets;

/// How long the start waits for a backend to tell its version; without an answer the greeting shows a default.
const VERSION_TIMEOUT: Duration = Duration::from_secs(3);
/// What the greeting shows when no backend tells its version.
const DEFAULT_SERVER_VERSION: &str = "8.0.36";

/// Its settings for clients whose collation it does not know, and whether it knows `utf8mb4_0900_ai_ci`.
const CHARSETS: &str = "SELECT @@GLOBAL.character_set_client, @@GLOBAL.character_set_results, \
     @@GLOBAL.collation_connection, (SELECT COUNT(*) FROM information_schema.COLLATIONS WHERE ID = 255)";

/// The version that drivers see: that of the first group's primary, since drivers act by it.
pub(super) async fn server_version(rules: &Rules, backends: &Backends) -> Arc<str> {
    let row = first_row(rules, backends, "SELECT VERSION()").await;
    row.and_then(|row| row.into_iter().next()).map_or_else(|| DEFAULT_SERVER_VERSION.into(), Arc::from)
}

/// What clients are given whose collation the servers do not know: their own settings, as they give them themselves
/// (`thd_init_client_charset`). Nothing on a MariaDB where the collations of MySQL are known.
pub(super) async fn default_charsets(rules: &Rules, backends: &Backends, version: &str) -> Option<DefaultCharsets> {
    let Some(row) = first_row(rules, backends, CHARSETS).await else { return Some(DefaultCharsets::default()) };
    let [client, results, collation, known] = row.as_slice() else { return Some(DefaultCharsets::default()) };
    if version.contains("MariaDB") && known != "0" {
        return None;
    }
    if !charset::is_readable(client) {
        return Some(DefaultCharsets::default());
    }
    let quoted = |name: &str| Arc::<str>::from(format!("'{name}'"));
    Some(DefaultCharsets { client: quoted(client), results: quoted(results), collation: quoted(collation) })
}

/// The row that the first group which answers gives.
async fn first_row(rules: &Rules, backends: &Backends, sql: &str) -> Option<Vec<String>> {
    for (index, group) in rules.groups.iter().enumerate() {
        let asked = backends.query(GroupId(index as u16), sql);
        match tokio::time::timeout(VERSION_TIMEOUT, asked).await {
            Ok(Ok(answer)) => {
                let cells = answer.rows.into_iter().next().unwrap_or_default();
                let row: Option<Vec<String>> = cells
                    .into_iter()
                    .map(|cell| cell.map(|cell| String::from_utf8_lossy(&cell).into_owned()))
                    .collect();
                if let Some(row) = row.filter(|row| !row.is_empty()) {
                    return Some(row);
                }
            }
            Ok(Err(error)) => tracing::warn!(group = %group.name, %error, "this group's primary was not asked"),
            Err(_) => tracing::warn!(group = %group.name, "this group's primary did not answer in time"),
        }
    }
    None
}
