//! Statements to plans: where a statement goes, what each shard is sent, and how the answers become one.
//!
//! Pure: no sockets, no clock, no globals. A [`Plan`] is a recipe that holds for every text of one fingerprint
//! ([`crate::sql::digest`]); [`Plan::bind`] makes the statements of one execution from it without a parser.
//!
//! The way of a statement: `shape` (what the tree says about its tables) → `keys` (conditions on sharding keys, tables
//! that meet) → one module per kind of statement → `action` (what binding does). `cache` keeps plans.

mod action;
pub(crate) mod error;
pub(crate) mod functions;
pub(crate) mod hint;
mod insert;
pub(crate) mod keys;
mod names;
pub(crate) mod outline;
pub(crate) mod place;
mod query;
mod scatter;
pub(crate) mod shape;
pub(crate) mod template;
pub mod types;
pub(crate) mod unit;

use std::sync::Arc;
use sqlparser::ast::Statement;
use crate::catalog::CatalogView;
use crate::config::{Rules, Schema};
use crate::route::key::RawValue;
use crate::route::values::Values;
use crate::sql::{LexMode, Literal};
pub use error::PlanError;
pub use types::*;

/// What a statement is planned with.
pub struct PlanContext<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// The chosen schema.
    pub schema: Option<&'a Arc<Schema>>,
    /// The columns of the tables.
    pub catalog: &'a dyn CatalogView,
    /// mode
    pub mode: LexMode,
    /// assume
    pub assume_types: bool,
}

/// A plan
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the statement does.
    pub kind: StatementKind,
    /// Which server may run it.
    pub access: Access,
    /// What it leaves behind on its connection.
    pub pins: Pins,
    /// What the session must do before.
    pub needs: Needs,
    /// A hint on the server.
    pub server_hint: Option<ServerHint>,
    /// The literals without which the plan does not hold.
    pub pinned: Vec<PinnedLiteral>,
    /// The logical tables that it names.
    pub tables: Vec<LogicalTable>,
    mode: LexMode,
    action: action::Action,
}

/// What a plan is bound to.
pub struct Input<'a> {
    /// The text.
    pub sql: &'a [u8],
    /// Its literals.
    pub literals: &'a [Literal],
    /// The parameters of a prepared statement.
    pub params: &'a [RawValue<'a>],
    /// The values of the session.
    pub session: &'a dyn SessionValues,
}

impl Plan {
    /// bind
    pub fn bind(&self, input: &Input<'_>) -> Result<Bound, PlanError> {
        let values = Values { sql: input.sql, literals: input.literals, params: input.params, mode: self.mode, utf8: true };
        match &self.action {
            action::Action::Routed(routed) => routed.bind(&values, input.session),
            action::Action::Insert(insert) => insert.bind(&values, input.session),
            action::Action::Everywhere(everywhere) => everywhere.bind(&values, input.session),
        }
    }
}

/// plan
pub fn plan(context: &PlanContext<'_>, sql: &[u8], statement: &Statement, literals: &[Literal]) -> Result<Plan, PlanError> {
    let subject = query::Subject::new(context, sql, literals)?;
    match statement {
        Statement::Query(query) => query::plan(&subject, statement, query),
        _ => Err(PlanError::not_supported("this statement", "")),
    }
}
