//! `SET`: session variables are tracked by the proxy and replayed on whatever connection a statement gets.
//!
//! What drivers send all the time (`autocommit`, `NAMES`, isolation levels) is understood without asking anyone. Any other
//! assignment runs on a backend first, in one statement, so that a wrong name or value gets the server's own error; what the
//! server then reports as the variable's value is what is replayed.

use super::literal::{literal_of, quote};
use super::{Failure, Session};
use crate::error::SqlError;
use crate::protocol::charset;
use crate::session::state::MAX_USER_VARIABLES;
use crate::sql::names::tables;
use crate::sql::session_statement::{Scope, SetItem, SetTransaction, SetValue, ValueKind};
use crate::txn::{Access, Isolation};

/// Variables that belong to one connection to one server and cannot be followed.
const NOT_FOLLOWED: &[&str] =
    &["insert_id", "pseudo_slave_mode", "pseudo_thread_id", "gtid_next", "gtid_seq_no", "server_id"];

/// An assignment, ready to be applied.
enum Change {
    System(String, Option<String>),
    User(String, String),
}

impl Session {
    /// `SET a = 1, @b = 2, NAMES utf8mb4, …`. Nothing is applied if one of the assignments is wrong.
    pub(super) async fn set(&mut self, items: Vec<SetItem>, sql: &[u8]) -> Result<(), Failure> {
        let mut changes = Vec::new();
        let mut asked = Vec::new();
        for item in items {
            match self.understood(&item)? {
                Some(understood) => changes.extend(understood),
                None => asked.push(item),
            }
        }
        if !asked.is_empty() {
            self.refuse_sharded_query(sql)?;
            changes.extend(self.ask_backend(&asked, sql).await?);
        }
        for change in &changes {
            check_client_charset(change)?;
        }
        for change in changes {
            self.apply(change).await?;
        }
        Ok(())
    }

    /// `SET [SESSION] TRANSACTION …`.
    pub(super) async fn set_transaction(&mut self, set: SetTransaction) -> Result<(), Failure> {
        let isolation = set.isolation.map(isolation_of);
        let access = set.read_only.map(|read_only| if read_only { Access::ReadOnly } else { Access::ReadWrite });
        match set.scope {
            None if self.txn.is_active() => {
                return Err(SqlError::client(
                    1568,
                    "25001",
                    "Transaction characteristics can't be changed while a transaction is in progress",
                )
                .into());
            }
            None => {
                self.state.next_isolation = isolation.or(self.state.next_isolation);
                self.state.next_access = access.unwrap_or(self.state.next_access);
            }
            Some(Scope::Session) => {
                if let Some(isolation) = isolation {
                    let value = quote(isolation.variable_value().as_bytes());
                    self.state.set_variable("transaction_isolation", Some(&value));
                }
                if let Some(access) = access {
                    let value = if access == Access::ReadOnly { "1" } else { "0" };
                    self.state.set_variable("transaction_read_only", Some(value));
                }
            }
            Some(_) => return Err(global_refused("TRANSACTION")),
        }
        Ok(())
    }

    /// What needs no backend to be understood.
    fn understood(&self, item: &SetItem) -> Result<Option<Vec<Change>>, Failure> {
        Ok(match item {
            SetItem::System { scope: Scope::Global | Scope::Persist | Scope::PersistOnly, name, .. } => {
                return Err(global_refused(name));
            }
            SetItem::System { name, .. } if NOT_FOLLOWED.contains(&name.as_str()) => {
                return Err(SqlError::not_supported(
                    format_args!("SET {name}"),
                    "it belongs to one connection to one server; set it on the backend",
                )
                .into());
            }
            SetItem::System { name, value, .. } if name == "autocommit" => {
                let on = on_off(&value.kind);
                on.map(|on| vec![Change::System(name.clone(), Some(u8::from(on).to_string()))])
            }
            SetItem::System { name, value, .. }
                if matches!(name.as_str(), "transaction_isolation" | "tx_isolation")
                    && isolation_value(&value.kind).is_some() =>
            {
                isolation_value(&value.kind).map(|value| {
                    vec![Change::System("transaction_isolation".to_owned(), Some(quote(value.as_bytes())))]
                })
            }
            SetItem::System { name, value, .. }
                if matches!(name.as_str(), "transaction_read_only" | "tx_read_only")
                    && on_off(&value.kind).is_some() =>
            {
                on_off(&value.kind)
                    .map(|on| vec![Change::System("transaction_read_only".to_owned(), Some(u8::from(on).to_string()))])
            }
            SetItem::User { name, value } => {
                simple_literal(&value.kind).map(|literal| vec![Change::User(name.clone(), literal)])
            }
            _ => None,
        })
    }

    /// Runs the assignments on a backend and reads back what they came to.
    async fn ask_backend(&mut self, items: &[SetItem], sql: &[u8]) -> Result<Vec<Change>, Failure> {
        let mut assignments = Vec::new();
        let mut system = Vec::new();
        let mut user = Vec::new();
        for item in items {
            match item {
                SetItem::User { name, value } => {
                    assignments.push(format!("@`{name}` = {}", text_of(value, sql)));
                    user.push(name.clone());
                }
                SetItem::System { name, value, .. } => {
                    let name = name.as_str();
                    assignments.push(format!("SESSION {name} = {}", text_of(value, sql)));
                    system.push(name.to_owned());
                }
                SetItem::Names { charset, collation } => {
                    assignments.push(names_clause(charset.as_deref(), collation.as_deref()));
                    system.extend(NAMES_VARIABLES.map(str::to_owned));
                }
                SetItem::CharacterSet(charset) => {
                    let charset = charset.as_deref().map_or_else(|| "DEFAULT".to_owned(), |c| quote(c.as_bytes()));
                    assignments.push(format!("CHARACTER SET {charset}"));
                    system.extend(NAMES_VARIABLES.map(str::to_owned));
                }
            }
        }
        let set = format!("SET {}", assignments.join(", "));
        let reads = system.iter().map(|name| format!("@@SESSION.{name}"));
        let reads = reads.chain(user.iter().map(|name| format!("@`{name}`"))).collect::<Vec<_>>().join(", ");
        let values = self.run_aside(&set, &format!("SELECT {reads}")).await?;
        let (columns, row) = values;
        let literals = columns.iter().zip(row).map(|(column, cell)| literal_of(column, cell.as_deref()));
        let system_changes = system.into_iter().map(|name| (name, true));
        Ok(system_changes
            .chain(user.into_iter().map(|name| (name, false)))
            .zip(literals)
            .map(
                |((name, is_system), literal)| {
                    if is_system { Change::System(name, Some(literal)) } else { Change::User(name, literal) }
                },
            )
            .collect())
    }

    /// A query in a value runs as it is on one server, which holds a part of a sharded table only.
    fn refuse_sharded_query(&self, sql: &[u8]) -> Result<(), Failure> {
        let names = tables(sql, self.state.lex_mode);
        if !names.iter().any(|name| name.text.eq_ignore_ascii_case("SELECT")) {
            return Ok(());
        }
        let snapshot = self.shared.snapshot.load();
        let is_placed = |name: &str| snapshot.rules.schemas.values().any(|schema| schema.table(name).is_some());
        match names.iter().find(|name| is_placed(&name.text)) {
            Some(name) => Err(SqlError::not_supported(
                format_args!("SET with a query of the sharded table '{}'", name.text),
                "use SELECT … INTO, or read the value first",
            )
            .into()),
            None => Ok(()),
        }
    }

    async fn apply(&mut self, change: Change) -> Result<(), Failure> {
        match change {
            Change::System(name, literal) => {
                let was_off = !self.state.autocommit;
                self.state.set_variable(&name, literal.as_deref());
                if name == "autocommit" && was_off && self.state.autocommit {
                    // Turning autocommit on ends the open transaction (*START TRANSACTION, COMMIT, and ROLLBACK*).
                    self.commit().await?;
                }
            }
            Change::User(name, literal) => {
                if self.state.user_vars.len() >= MAX_USER_VARIABLES && !self.state.user_vars.contains_key(&name) {
                    return Err(SqlError::client(
                        1105,
                        "HY000",
                        format!("More than {MAX_USER_VARIABLES} user variables in one session"),
                    )
                    .into());
                }
                self.state.user_vars.insert(name, literal);
            }
        }
        Ok(())
    }
}

/// Statements are read byte by byte, which some character sets do not allow.
fn check_client_charset(change: &Change) -> Result<(), Failure> {
    let Change::System(name, Some(literal)) = change else { return Ok(()) };
    let charset = literal.trim_matches('\'');
    if name != "character_set_client" || charset::is_readable(charset) {
        return Ok(());
    }
    let message = format!(
        "Variable 'character_set_client' can't be set to the value of '{charset}': Shardloom reads no statements in it; use \
         utf8mb4"
    );
    Err(SqlError::client(1231, "42000", message).into())
}

/// What SET NAMES and SET CHARACTER SET change.
const NAMES_VARIABLES: [&str; 3] = ["character_set_client", "character_set_results", "collation_connection"];

fn names_clause(charset: Option<&str>, collation: Option<&str>) -> String {
    match (charset, collation) {
        (None, _) => "NAMES DEFAULT".to_owned(),
        (Some(charset), None) => format!("NAMES {}", quote(charset.as_bytes())),
        (Some(charset), Some(collation)) => {
            format!("NAMES {} COLLATE {}", quote(charset.as_bytes()), quote(collation.as_bytes()))
        }
    }
}

fn text_of<'a>(value: &SetValue, sql: &'a [u8]) -> std::borrow::Cow<'a, str> {
    String::from_utf8_lossy(sql.get(value.range.clone()).unwrap_or_default())
}

fn global_refused(name: &str) -> Failure {
    SqlError::not_supported(
        format_args!("SET GLOBAL {name}"),
        "global settings belong to each server; set them on the backends",
    )
    .into()
}

fn on_off(kind: &ValueKind) -> Option<bool> {
    match kind {
        ValueKind::Integer(0) => Some(false),
        ValueKind::Integer(1) | ValueKind::Default => Some(true),
        ValueKind::Word(word) => on_off_word(word.as_bytes()),
        ValueKind::Text(text) => on_off_word(text),
        _ => None,
    }
}

fn on_off_word(word: &[u8]) -> Option<bool> {
    if word.eq_ignore_ascii_case(b"on") || word.eq_ignore_ascii_case(b"true") {
        return Some(true);
    }
    (word.eq_ignore_ascii_case(b"off") || word.eq_ignore_ascii_case(b"false")).then_some(false)
}

fn isolation_value(kind: &ValueKind) -> Option<&'static str> {
    let text = match kind {
        ValueKind::Word(word) => word.as_bytes(),
        ValueKind::Text(text) => text,
        _ => return None,
    };
    [Isolation::ReadUncommitted, Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable]
        .into_iter()
        .map(Isolation::variable_value)
        .find(|value| text.eq_ignore_ascii_case(value.as_bytes()))
}

fn isolation_of(isolation: crate::sql::session_statement::Isolation) -> Isolation {
    use crate::sql::session_statement::Isolation as Parsed;
    match isolation {
        Parsed::ReadUncommitted => Isolation::ReadUncommitted,
        Parsed::ReadCommitted => Isolation::ReadCommitted,
        Parsed::RepeatableRead => Isolation::RepeatableRead,
        Parsed::Serializable => Isolation::Serializable,
    }
}

/// Values of user variables that need no server: integers and NULL. Strings take the connection's collation, so a server
/// is asked what they are.
fn simple_literal(kind: &ValueKind) -> Option<String> {
    match kind {
        ValueKind::Integer(value) if i64::try_from(*value).is_ok() => Some(value.to_string()),
        ValueKind::Null => Some("NULL".to_owned()),
        _ => None,
    }
}
