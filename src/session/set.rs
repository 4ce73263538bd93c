//! `SET`: session variables are tracked by the proxy and replayed on whatever connection a statement gets.
//!
//! What drivers send all the time (`autocommit`, `NAMES`, isolation levels) is understood without asking anyone. Any other
//! assignment runs on a backend first, in one statement, so that a wrong name or value gets the server's own error; what the
//! server then reports as the variable's value is what is replayed.

use std::sync::Arc;

use super::announce::too_many_user_variables;
use super::aside::at_variable;
use super::literal::{literal_of, quote};
use super::{Failure, Session};
use crate::config::Schema;
use crate::error::SqlError;
use crate::plan::is_system_schema;
use crate::protocol::{OkPacket, charset};
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
    /// For the next transaction alone.
    NextIsolation(Isolation),
    NextAccess(Access),
}

/// Assignments on their way to a server, and what is asked back.
#[derive(Default)]
struct Question {
    assignments: Vec<String>,
    system: Vec<(String, Scope)>,
    user: Vec<String>,
    sets_insert_id: bool,
}

impl Session {
    /// `SET a = 1, @b = 2, NAMES utf8mb4, …`, and its answer: MySQL warns of some values.
    pub(super) async fn set_and_answer(&mut self, items: Vec<SetItem>, sql: &[u8]) -> Result<(), Failure> {
        let earlier = std::mem::take(&mut self.state.diagnostics);
        let set = self.set(items, sql).await;
        let warnings = u16::try_from(self.state.diagnostics.len()).unwrap_or(u16::MAX);
        if warnings == 0 {
            self.state.diagnostics = earlier;
        }
        set?;
        let ok = OkPacket { status: self.status(), warnings, ..OkPacket::default() };
        self.client.put_ok(&ok);
        self.state.row_count = 0;
        Ok(())
    }

    /// As that, without an answer. Nothing is applied if one of the assignments is wrong.
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
            None => {
                self.check_no_transaction()?;
                self.state.next_isolation = isolation.or(self.state.next_isolation);
                self.state.next_access = access.unwrap_or(self.state.next_access);
            }
            Some(Scope::Session | Scope::Unsaid) => {
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
            SetItem::System { name, value, scope } if is_isolation(name) && self.knows_variable(name) => {
                isolation_value(&value.kind).map(|isolation| vec![isolation_change(*scope, isolation)])
            }
            SetItem::System { name, value, scope } if is_access(name) && self.knows_variable(name) => {
                on_off(&value.kind).map(|read_only| vec![access_change(*scope, read_only)])
            }
            SetItem::User { name, value } => {
                simple_literal(&value.kind).map(|literal| vec![Change::User(name.clone(), literal)])
            }
            _ => None,
        })
    }

    /// Runs the assignments on a backend and reads back what they came to.
    async fn ask_backend(&mut self, items: &[SetItem], sql: &[u8]) -> Result<Vec<Change>, Failure> {
        let mut question = Question::default();
        for item in items {
            self.ask_for(item, sql, &mut question).await?;
        }
        let set = format!("SET {}", question.assignments.join(", "));
        let system = question.system.iter().map(|(name, _)| format!("@@SESSION.{name}"));
        let user = question.user.iter().map(|name| at_variable(name));
        let insert_id = question.sets_insert_id.then(|| "LAST_INSERT_ID()".to_owned());
        let reads = system.chain(user).chain(insert_id).collect::<Vec<_>>().join(", ");
        // LIMIT, since the statement may have set `sql_select_limit`
        let (columns, row) = self.run_aside(&set, &format!("SELECT {reads} LIMIT 1")).await?;
        let literals = columns.iter().zip(row).map(|(column, cell)| literal_of(column, cell.as_deref()));
        let system = question.system.into_iter().map(Some).chain(std::iter::repeat(None));
        let user = question.user.into_iter();
        let mut names = user.map(Some).chain(std::iter::repeat(None));
        Ok(literals
            .zip(system)
            .map(|(literal, system)| match (system, &literal) {
                (Some((name, scope)), _) => asked_change(name, scope, literal),
                (None, _) => match names.next().flatten() {
                    Some(name) => Change::User(name, literal),
                    None => Change::System("last_insert_id".to_owned(), Some(literal)),
                },
            })
            .collect())
    }

    async fn ask_for(&mut self, item: &SetItem, sql: &[u8], question: &mut Question) -> Result<(), Failure> {
        match item {
            SetItem::User { name, value } => {
                let value = self.value_text(value, sql, question).await?;
                question.assignments.push(format!("{} = {value}", at_variable(name)));
                question.user.push(name.clone());
            }
            SetItem::System { name, value, scope } => {
                let value = self.value_text(value, sql, question).await?;
                question.assignments.push(format!("SESSION {name} = {value}"));
                // the connection's collation says its character set too
                let kept = if name == "character_set_connection" { "collation_connection" } else { name };
                question.system.push((kept.to_owned(), *scope));
            }
            SetItem::Names { charset, collation } => {
                question.assignments.push(names_clause(charset.as_deref(), collation.as_deref()));
                question.system.extend(NAMES_VARIABLES.map(|name| (name.to_owned(), Scope::Session)));
            }
            SetItem::CharacterSet(charset) => {
                let charset = charset.as_deref().map_or_else(|| "DEFAULT".to_owned(), |c| quote(c.as_bytes()));
                question.assignments.push(format!("CHARACTER SET {charset}"));
                question.system.extend(NAMES_VARIABLES.map(|name| (name.to_owned(), Scope::Session)));
            }
        }
        Ok(())
    }

    /// The text of a value for a server.
    async fn value_text(&mut self, value: &SetValue, sql: &[u8], question: &mut Question) -> Result<String, Failure> {
        let text = text_of(value, sql);
        if !matches!(value.kind, ValueKind::Expression | ValueKind::SystemVariable { .. }) {
            return Ok(text.into_owned());
        }
        let snapshot = self.snapshot();
        let group = self.group_for(sql, &snapshot);
        let bound = self.bound_expression(&text, group).await?;
        question.user.extend(bound.assigned.iter().map(|name| name.to_lowercase()));
        question.sets_insert_id |= bound.sets_insert_id;
        Ok(bound.sql)
    }

    /// Whether the server that the proxy stands for has a characteristic of transactions under this name.
    fn knows_variable(&self, name: &str) -> bool {
        let version = self.shared.server_version_number();
        match (self.shared.is_mariadb(), name.starts_with("tx_")) {
            (true, old) => old || version >= 110_101,
            (false, old) => !old || version < 80_003,
        }
    }

    fn check_no_transaction(&self) -> Result<(), Failure> {
        if !self.txn.is_active() {
            return Ok(());
        }
        let message = "Transaction characteristics can't be changed while a transaction is in progress";
        Err(SqlError::client(1568, "25001", message).into())
    }

    /// Refuses a text that runs on the session's home group as it is, if it may read what is elsewhere, or what the account
    /// may not see. `what` is the statement's kind.
    pub(super) fn check_named(&self, what: &str, sql: &[u8]) -> Result<(), Failure> {
        self.check_seen(sql)?;
        let names = tables(sql, self.state.lex_mode);
        if !names.iter().any(|name| name.text.eq_ignore_ascii_case("SELECT")) {
            return Ok(());
        }
        let snapshot = self.shared.snapshot.load();
        let rules = &snapshot.rules;
        let named = || names.iter().filter_map(|name| rules.schema(&name.text));
        let is_placed =
            |name: &str| rules.schemas.values().any(|schema| schema.table(name).is_some() || schema.is_part(name));
        let elsewhere = |schema: &&Arc<Schema>| schema.home_group() != Some(self.home_group(&snapshot));
        let met = match names.iter().find(|name| is_placed(&name.text)) {
            Some(name) => format!("{what} with a query of the sharded table '{}'", name.text),
            None => match named().find(elsewhere) {
                Some(schema) => {
                    format!("{what} with a query of the schema '{}', which is on another group", schema.name)
                }
                None => return Ok(()),
            },
        };
        Err(SqlError::not_supported(met, "use SELECT … INTO, or read the value first").into())
    }

    /// Refuses a text that names a schema which the account may not see.
    pub(super) fn check_seen(&self, sql: &[u8]) -> Result<(), Failure> {
        let names = tables(sql, self.state.lex_mode);
        let snapshot = self.shared.snapshot.load();
        let named = names.iter().filter_map(|name| snapshot.rules.schema(&name.text));
        self.check_may_use(named.map(|schema| &*schema.name))?;
        if !names.iter().any(|name| name.text.eq_ignore_ascii_case("SELECT")) {
            return Ok(());
        }
        let system = names.iter().find(|name| is_system_schema(&name.text));
        match system.filter(|name| !name.text.eq_ignore_ascii_case("information_schema")) {
            Some(name) => self.check_may_use(std::iter::once(name.text.as_str())),
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
                    return Err(too_many_user_variables());
                }
                self.state.user_vars.insert(name, literal);
            }
            Change::NextIsolation(isolation) => {
                self.check_no_transaction()?;
                self.state.next_isolation = Some(isolation);
            }
            Change::NextAccess(access) => {
                self.check_no_transaction()?;
                self.state.next_access = access;
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

fn is_isolation(name: &str) -> bool {
    matches!(name, "transaction_isolation" | "tx_isolation")
}

fn is_access(name: &str) -> bool {
    matches!(name, "transaction_read_only" | "tx_read_only")
}

fn isolation_change(scope: Scope, isolation: Isolation) -> Change {
    if scope == Scope::Unsaid {
        return Change::NextIsolation(isolation);
    }
    Change::System("transaction_isolation".to_owned(), Some(quote(isolation.variable_value().as_bytes())))
}

fn access_change(scope: Scope, read_only: bool) -> Change {
    if scope == Scope::Unsaid {
        return Change::NextAccess(if read_only { Access::ReadOnly } else { Access::ReadWrite });
    }
    Change::System("transaction_read_only".to_owned(), Some(u8::from(read_only).to_string()))
}

/// What a server made of a system variable's value.
fn asked_change(name: String, scope: Scope, literal: String) -> Change {
    let text = ValueKind::Text(literal.trim_matches('\'').as_bytes().to_vec());
    match isolation_value(&text) {
        Some(isolation) if is_isolation(&name) => isolation_change(scope, isolation),
        _ if is_access(&name) => access_change(scope, literal != "0"),
        _ => Change::System(name, Some(literal)),
    }
}

fn isolation_value(kind: &ValueKind) -> Option<Isolation> {
    let text = match kind {
        ValueKind::Word(word) => word.as_bytes(),
        ValueKind::Text(text) => text,
        _ => return None,
    };
    [Isolation::ReadUncommitted, Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable]
        .into_iter()
        .find(|isolation| text.eq_ignore_ascii_case(isolation.variable_value().as_bytes()))
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
