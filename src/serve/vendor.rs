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

/// Its version, its settings for clients whose collation it does not know, and whether it knows `utf8mb4_0900_ai_ci`.
const QUESTION: &str = "SELECT VERSION(), @@GLOBAL.character_set_client, @@GLOBAL.character_set_results, \
     @@GLOBAL.collation_connection, (SELECT COUNT(*) FROM information_schema.COLLATIONS WHERE ID = 255)";

/// What the first group's primary is, since drivers act by it.
pub(super) struct Vendor {
    /// The version that drivers see.
    pub version: Arc<str>,
    /// What clients are given whose collation the servers do not know: their own settings, as they give them themselves
    /// (`thd_init_client_charset`). Nothing on a MariaDB where the collations of MySQL are known.
    pub charsets: Option<DefaultCharsets>,
}

impl Vendor {
    /// Asks the groups, until one answers.
    pub(super) async fn of(rules: &Rules, backends: &Backends) -> Self {
        let told = first_row(rules, backends, QUESTION).await.unwrap_or_default();
        let [version, client, results, collation, known] = told.as_slice() else {
            return Self { version: DEFAULT_SERVER_VERSION.into(), charsets: Some(DefaultCharsets::default()) };
        };
        let knows_all = version.contains("MariaDB") && known != "0";
        Self { version: version.as_str().into(), charsets: (!knows_all).then(|| defaults(client, results, collation)) }
    }
}

fn defaults(client: &str, results: &str, collation: &str) -> DefaultCharsets {
    if !charset::is_readable(client) {
        return DefaultCharsets::default();
    }
    let quoted = |name: &str| Arc::<str>::from(format!("'{name}'"));
    DefaultCharsets { client: quoted(client), results: quoted(results), collation: quoted(collation) }
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
