//! Values of the session that a statement reads: what the client's session has, not the pooled connection.

use std::borrow::Cow;

use super::literal::quote;
use super::{Diagnostic, Session, State};
use crate::plan::functions::SessionFunction;
use crate::plan::shape::SessionValue;
use crate::plan::types::SessionValues;
use crate::protocol::Value;
use crate::route::key::RawValue;

/// The session, as a plan asks it for values.
pub(super) struct Asked<'a> {
    pub state: &'a State,
    pub connection_id: u32,
    pub user: &'a str,
    pub host: &'a str,
    pub server_version: &'a str,
    pub shared: &'a super::Shared,
    /// The schema has its logical name on every backend, so that a server tells it itself.
    pub schema_is_physical: bool,
}

impl SessionValues for Asked<'_> {
    fn is_strict(&self) -> bool {
        is_strict(self.state)
    }

    fn writes_read_rows(&self) -> bool {
        self.state.writes_read_rows
    }

    fn value(&self, what: &SessionValue) -> Option<String> {
        match what {
            SessionValue::Function(function) => self.function(*function),
            SessionValue::Variable { global: false, name } => self.variable(name),
            SessionValue::Variable { .. } => None,
        }
    }

    fn may_use(&self, schema: &str) -> bool {
        self.shared.may_use(self.user, schema)
    }
}

/// Whether a write that meets a wrong value fails: `sql_mode` is strict, as it is where nobody set it.
pub(super) fn is_strict(state: &State) -> bool {
    state.vars.get("sql_mode").is_none_or(|mode| {
        let mode = mode.to_ascii_uppercase();
        ["STRICT_TRANS_TABLES", "STRICT_ALL_TABLES", "TRADITIONAL"].iter().any(|strict| mode.contains(strict))
    })
}

impl Asked<'_> {
    fn function(&self, function: SessionFunction) -> Option<String> {
        Some(match function {
            SessionFunction::LastInsertId => unsigned(self.state.last_insert_id),
            SessionFunction::FoundRows => format!("CAST({} AS SIGNED)", unsigned(self.state.found_rows)),
            SessionFunction::RowCount => format!("CAST(({}|0) AS SIGNED)", self.state.row_count),
            SessionFunction::ConnectionId if self.shared.is_mariadb() => self.connection_id.to_string(),
            SessionFunction::ConnectionId => unsigned(u64::from(self.connection_id)),
            SessionFunction::Database if self.schema_is_physical => return None,
            SessionFunction::Database => self
                .state
                .schema
                .as_ref()
                .map_or_else(|| "NULL".to_owned(), |schema| as_of(&quote(schema.as_bytes()), "DATABASE()")),
            SessionFunction::User => as_of(&quote(format!("{}@{}", self.user, self.host).as_bytes()), "USER()"),
            SessionFunction::CurrentUser => as_of(&quote(format!("{}@%", self.user).as_bytes()), "CURRENT_USER()"),
            SessionFunction::CurrentRole => "NULL".to_owned(),
            SessionFunction::Version => as_of(&quote(self.server_version.as_bytes()), "VERSION()"),
        })
    }

    /// What the statement before this one said.
    fn diagnostics(&self) -> &[Diagnostic] {
        if self.shared.is_mariadb() { &self.state.diagnostics } else { &self.state.earlier_diagnostics }
    }

    /// Variables that have no meaning on a pooled connection; all others are replayed there and read from it.
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "last_insert_id" | "identity" => Some(unsigned(self.state.last_insert_id)),
            "warning_count" => Some(self.diagnostics().len().to_string()),
            "error_count" => Some(self.diagnostics().iter().filter(|d| d.level == "Error").count().to_string()),
            "pseudo_thread_id" => Some(self.connection_id.to_string()),
            _ => None,
        }
    }
}

/// A value with the character set, collation and coercibility of what a function gives.
fn as_of(value: &str, function: &str) -> String {
    format!("IF(1, {value}, {function})")
}

/// A constant of type BIGINT UNSIGNED, as the functions are: a plain number would have the type of its size.
fn unsigned(value: u64) -> String {
    format!("({value}|0)")
}

impl Session {
    fn schema_is_physical(&self) -> bool {
        let snapshot = self.shared.snapshot.load();
        let schema = self.state.schema.as_ref().and_then(|name| snapshot.rules.schema(name));
        schema.is_some_and(|schema| schema.has_physical_name())
    }

    /// This session, as a plan asks it for values.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            state: &self.state,
            connection_id: self.entry.id,
            user: &self.entry.user,
            host: &self.host,
            server_version: &self.shared.server_version,
            shared: &self.shared,
            schema_is_physical: self.schema_is_physical(),
        }
    }
}

/// A parameter of the binary protocol as routing compares it.
pub(super) fn raw_value<'a>(value: &Value<'a>) -> RawValue<'a> {
    match *value {
        Value::Null => RawValue::Null,
        Value::Int(value) => RawValue::Int(i128::from(value)),
        Value::UInt(value) => RawValue::Int(i128::from(value)),
        Value::Float(value) => RawValue::Float(f64::from(value)),
        Value::Double(value) => RawValue::Float(value),
        Value::Bytes(bytes) => RawValue::Text(Cow::Borrowed(bytes)),
        Value::Date(_) | Value::DateTime(_) | Value::Time(_) => RawValue::Text(Cow::Owned(temporal_text(value))),
    }
}

fn temporal_text(value: &Value<'_>) -> Vec<u8> {
    let mut cell = Vec::new();
    crate::protocol::text_row::put_value(&mut cell, value, 6);
    // The cell is a length-encoded string shorter than 251 bytes.
    cell.split_off(1.min(cell.len()))
}
