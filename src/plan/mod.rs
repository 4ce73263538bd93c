//! Statements to plans: where a statement goes, what each shard is sent, and how the answers become one.
//!
//! Pure: no sockets, no clock, no globals. A [`Plan`] is a recipe that holds for every text of one fingerprint
//! ([`crate::sql::digest`]); [`Plan::bind`] makes the statements of one execution from it without a parser.
//!
//! The way of a statement: [`shape`] (what the tree says about its tables) → `keys` (conditions on sharding keys, and
//! which tables meet) → one module per kind of statement → `action` (what binding does). [`PlanCache`] keeps plans.
//! What is not proven to give one server's answer is refused with error 1235.

mod action;
mod alias;
mod anchor;
mod cache;
mod called;
mod combine;
pub(crate) mod compose;
mod ddl;
mod ddl_warnings;
mod delete;
mod describe;
mod error;
mod exact;
mod explain;
mod forms;
mod frame;
pub mod functions;
mod given;
mod hint;
mod insert;
mod instead;
mod keys;
mod lists;
pub(crate) mod load;
mod names;
mod opaque;
mod outline;
mod place;
mod query;
mod scatter;
mod scratch;
pub mod shape;
mod show;
mod show_filter;
mod system;
mod template;
pub mod types;
mod unit;
mod update;
pub mod views;

use std::sync::Arc;

use bytes::Bytes;
use sqlparser::ast::Statement;

use crate::catalog::CatalogView;
use crate::config::{Rules, Schema};
use crate::id::{IdError, Key, KeyMaker};
use crate::observe::DigestSlot;
use crate::route::key::RawValue;
use crate::route::source::Source;
use crate::route::values::Values;
use crate::sql::session_statement::{self, SessionStatement};
use crate::sql::{LexMode, Literal, Parsed, Scan, Verb};
use action::Action;
pub use cache::{CacheStats, PlanCache, PlanKey};
pub use error::PlanError;
pub(crate) use opaque::placed_name;
pub(crate) use place::is_system_schema;
use query::Subject;
use scatter::Skip;
pub(crate) use scratch::{Evaluated, Reread, TableCopy, Written, reread};
pub use show_filter::check_show;
pub use types::*;
pub(crate) use unit::quoted;

/// What a statement is planned with.
pub struct PlanContext<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// The schema that the client has chosen.
    pub schema: Option<&'a Arc<Schema>>,
    /// The client has chosen `information_schema`.
    pub in_information_schema: bool,
    /// The columns of the tables. Those that the statement names should be in it.
    pub catalog: &'a dyn CatalogView,
    /// What `sql_mode` says about reading the text.
    pub mode: LexMode,
    /// There is no catalog: types of columns are taken from the literals they are compared with. Only to show a plan.
    pub assume_types: bool,
    /// The client's texts are UTF-8: `character_set_client`. Else texts that are not ASCII lead to no shard.
    pub text_is_utf8: bool,
    /// The plan is for a prepared statement.
    pub prepared: bool,
}

/// Makes keys: a number of them, from a generator of the rules, behind a key that the statement gives itself (0 for none).
pub type Ids<'a> = &'a dyn Fn(&KeyMaker, u32, u64) -> Result<Vec<Key>, IdError>;

/// The same, inside: keys of any origin.
type KeySource<'a> = &'a dyn Fn(&KeyMaker, u32, u64) -> Result<Vec<Key>, PlanError>;

/// What is done with every text of one fingerprint.
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
    /// The logical tables that it names, without those of `information_schema`.
    pub tables: Vec<LogicalTable>,
    /// The user variables that it assigns, without `@`.
    pub assigned_variables: Vec<String>,
    /// LIMIT leaves out rows that FOUND_ROWS() counts.
    pub(crate) skip: Option<Skip>,
    mode: LexMode,
    text_is_utf8: bool,
    action: Action,
    /// What the session does where the action cannot be bound.
    pub(crate) compose: Option<Arc<compose::Compose>>,
    /// An INSERT that gives its AUTO_INCREMENT column values: those of all rows, none where a query gives them.
    /// LAST_INSERT_ID() then stays what it was.
    pub(crate) given_ids: Option<Vec<Source>>,
    /// What the client is warned of once the statement has run.
    pub(crate) warnings: Vec<String>,
    /// Where its executions are counted.
    pub(crate) digest: DigestSlot,
}

impl Plan {
    /// Whether it is an INSERT whose rows go where their keys lead.
    pub fn splits_rows(&self) -> bool {
        matches!(self.action, Action::Insert(_))
    }

    /// Makes the statements of one execution: `sql` is a text of the plan's fingerprint, `literals` are its literals.
    pub fn bind(
        &self,
        sql: &[u8],
        literals: &[Literal],
        params: &[RawValue<'_>],
        session: &dyn SessionValues,
        ids: Ids<'_>,
    ) -> Result<Bound, PlanError> {
        self.bind_with(sql, literals, params, session, &|maker, count, behind| Ok(ids(maker, count, behind)?))
    }

    /// Whether each row of an INSERT has a value for its AUTO_INCREMENT column.
    fn gives_ids(&self, values: &Values<'_>) -> bool {
        let zero_generates = !self.mode.no_auto_value_on_zero;
        let own = |source: &Source| insert::OwnKey::of_source(source, zero_generates, values);
        self.given_ids.as_ref().is_some_and(|sources| sources.iter().all(|source| own(source) != insert::OwnKey::None))
    }

    fn bind_with(
        &self,
        sql: &[u8],
        literals: &[Literal],
        params: &[RawValue<'_>],
        session: &dyn SessionValues,
        ids: KeySource<'_>,
    ) -> Result<Bound, PlanError> {
        let values = self.values(sql, literals, params);
        let mut bound = match &self.action {
            Action::Routed(routed) => routed.bind(&values, session),
            Action::Query(query) => query.bind(&values, session),
            Action::Insert(insert) => insert.bind(&values, session, ids),
            Action::Everywhere(everywhere) => action::bind_everywhere(everywhere, &values, session),
            Action::Explain(explain) => explain.bind(sql, literals, params, session, ids),
            Action::Given(given) => Ok(given.bind()),
            Action::Instead(instead) => instead.bind(session),
            Action::Expanded(expanded) => expanded.bind(sql, literals, params, session, ids),
            Action::OnlyComposed(only) => Err(only.refused.clone()),
        }?;
        bound.keeps_last_insert_id |= self.gives_ids(&values);
        if let Some(skip) = &self.skip {
            bound.skipped = skip.bind(&values);
        }
        Ok(bound)
    }

    /// One of the statements that the plan may send, whatever the parameters: to be prepared, so that the client
    /// learns its parameters and columns. It has the client's parameters and columns, no others.
    pub fn sample(&self, sql: &[u8], literals: &[Literal]) -> Result<ShardStatement, PlanError> {
        let values = self.values(sql, literals, &[]);
        match &self.action {
            Action::Routed(routed) => routed.sample(&values),
            Action::Query(query) => query.routed.sample(&values),
            Action::Insert(insert) => insert.sample(&values),
            Action::Explain(explain) => explain.sample(sql, literals),
            Action::Instead(instead) => instead.sample(),
            Action::Expanded(expanded) => expanded.sample(sql, literals),
            Action::OnlyComposed(only) => Ok(only.sample()),
            Action::Everywhere(_) | Action::Given(_) => {
                let none: KeySource<'_> = &|_, _, _| Ok(Vec::new());
                let bound = self.bind_with(sql, literals, &[], &NoSession, none)?;
                bound.shards.into_iter().next().ok_or(PlanError::Internal("a plan without a statement"))
            }
        }
    }

    /// Whether it explains a statement.
    pub fn is_explain(&self) -> bool {
        matches!(self.action, Action::Explain(_))
    }

    /// Whether something that the statement left on its connection is to be read back from there: user variables that it
    /// assigned or may have assigned, or the number of rows found without LIMIT.
    pub fn reads_back(&self) -> bool {
        !self.assigned_variables.is_empty() || self.pins.found_rows || self.pins.insert_id || self.pins.unknown
    }

    /// The statement over temporary tables, where no server has all tables of the statement, so that it has no
    /// [`Plan::sample`].
    pub fn scratch_sample(&self, sql: &[u8], literals: &[Literal]) -> Option<ScratchBound> {
        self.bind_scratch(String::new(), sql, literals, &[], &NoSession)
    }

    /// The statement over temporary tables, made ready for one execution; nothing if it has no such form. `reason`: what the
    /// shards cannot do.
    pub fn bind_scratch(
        &self,
        reason: String,
        sql: &[u8],
        literals: &[Literal],
        params: &[RawValue<'_>],
        session: &dyn SessionValues,
    ) -> Option<ScratchBound> {
        let query = match &self.action {
            Action::Query(query) => query,
            Action::Expanded(expanded) => return expanded.bind_scratch(reason, sql, literals, params, session),
            _ => return None,
        };
        let scratch = query.scratch.as_ref().ok()?;
        Some(scratch.bind(reason, &self.values(sql, literals, params), session))
    }

    /// The text that the plan is for, where that is not the client's: with the queries of views in the places of their
    /// names.
    pub(crate) fn expanded(&self, sql: &[u8], literals: &[Literal]) -> Option<Bytes> {
        match &self.action {
            Action::Expanded(expanded) => Some(expanded.text(sql, literals).0),
            _ => None,
        }
    }

    /// How many columns at the end of a [`Plan::sample`]'s result the client does not see.
    pub fn hidden_columns(&self) -> usize {
        0
    }

    fn values<'a>(&self, sql: &'a [u8], literals: &'a [Literal], params: &'a [RawValue<'a>]) -> Values<'a> {
        Values { sql, literals, params, mode: self.mode, utf8: self.text_is_utf8 }
    }
}

impl Plan {
    /// The physical tables that a definition is about (schema and table), in the order of its statements; nothing where those
    /// are about no table.
    pub fn defined_tables(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let Action::Everywhere(all) = &self.action else { return Vec::new() };
        let nodes = all.iter().filter_map(|one| one.units.first()).flat_map(|unit| unit.place.nodes());
        nodes.map(|node| (Arc::clone(&node.schema), Arc::clone(&node.table))).collect()
    }
}

/// A logical table that a definition is about, and its nodes.
pub(crate) struct Defined<'p> {
    pub schema: &'p str,
    pub table: &'p str,
    pub nodes: &'p [crate::config::DataNode],
}

impl Plan {
    /// The logical tables that a definition is about, in its order.
    pub(crate) fn defined(&self) -> Vec<Defined<'_>> {
        let Action::Everywhere(all) = &self.action else { return Vec::new() };
        let places = all.iter().filter_map(|one| one.units.first()).map(|unit| &unit.place);
        places.map(|place| Defined { schema: place.schema(), table: place.table(), nodes: place.nodes() }).collect()
    }
}

/// A node that has the definition of a logical table; nothing for a name that stands for no table.
pub fn a_node(rules: &Rules, schema: &str, table: &str) -> Option<crate::config::DataNode> {
    let schema = rules.schema(schema)?;
    match schema.table(table) {
        Some(rule) => rule.nodes.first().cloned(),
        None => {
            let group = schema.default_group.filter(|_| !schema.is_part(table))?;
            Some(crate::config::DataNode { group, schema: Arc::clone(&schema.name), table: table.into() })
        }
    }
}

/// Plans a statement: `sql` is the text of one statement, `scan` and `literals` are what the digest says of it.
pub fn plan(context: &PlanContext<'_>, sql: &[u8], scan: &Scan, literals: &[Literal]) -> Result<Plan, PlanError> {
    let mut plan = plan_of(context, sql, scan, literals)?;
    called::note(context, sql, &mut plan);
    Ok(plan)
}

fn plan_of(context: &PlanContext<'_>, sql: &[u8], scan: &Scan, literals: &[Literal]) -> Result<Plan, PlanError> {
    let subject = Subject::new(context, sql, scan, literals)?;
    if subject.hints.group.is_some() {
        return opaque::forced(&subject);
    }
    if scan.flags.unsure_comment {
        return opaque::plan(&subject, "a comment that only some servers execute");
    }
    match scan.verb {
        Verb::Show | Verb::Explain => session(&subject),
        Verb::Create | Verb::Alter => Ok(ddl_warnings::add(&subject, ddl::plan(&subject)?)),
        Verb::Drop | Verb::Truncate | Verb::Rename => ddl::plan(&subject),
        Verb::Optimize | Verb::Check | Verb::Checksum | Verb::Repair => ddl::plan(&subject),
        Verb::Analyze => match session_statement::parse(sql, context.mode) {
            Some(SessionStatement::Explain(explain)) => explain::plan(&subject, &explain),
            _ => ddl::plan(&subject),
        },
        Verb::Select
        | Verb::With
        | Verb::Values
        | Verb::Table
        | Verb::Insert
        | Verb::Replace
        | Verb::Update
        | Verb::Delete
        | Verb::Do => data(&subject),
        Verb::Grant | Verb::Revoke => {
            Err(PlanError::not_supported("accounts and privileges", "users are defined by the rules"))
        }
        Verb::Get => Err(PlanError::not_supported("GET DIAGNOSTICS", "use SHOW WARNINGS, or SHOW COUNT(*) WARNINGS")),
        _ => opaque::plan(&subject, "this statement"),
    }
}

/// SHOW, DESCRIBE, EXPLAIN.
fn session(subject: &Subject<'_>) -> Result<Plan, PlanError> {
    match session_statement::parse(subject.sql, subject.context.mode) {
        Some(SessionStatement::Show(show)) => show::plan(subject, &show),
        Some(SessionStatement::Describe(describe)) => show::describe(subject, &describe),
        Some(SessionStatement::Explain(explain)) => explain::plan(subject, &explain),
        _ => opaque::plan(subject, "this statement"),
    }
}

/// The maker of a table's keys, if a sequence counts them or would where they have no other generator: those of the column
/// `numbered` then.
pub fn sequence_of(rules: &Rules, schema: &str, table: &str, numbered: &str) -> Option<KeyMaker> {
    let schema = rules.schema(schema)?;
    let table = schema.table(table).filter(|table| table.is_sharded())?;
    insert::sequence_of(schema, table, numbered)
}

/// Statements about rows.
fn data(subject: &Subject<'_>) -> Result<Plan, PlanError> {
    let parsed = match crate::sql::parse(subject.sql, subject.context.mode) {
        Ok(parsed) => parsed,
        Err(error) => return opaque::unparsed(subject, error),
    };
    let plan = parsed_data(subject, &parsed)?;
    Ok(if alias::is_by_string(&parsed.statement) { subject.only_for_these_literals(plan) } else { plan })
}

fn parsed_data(subject: &Subject<'_>, parsed: &Parsed) -> Result<Plan, PlanError> {
    if let Some(plan) = views::plan(subject, parsed)? {
        return Ok(plan);
    }
    match &parsed.statement {
        Statement::Query(query) => query::plan(subject, parsed, query),
        Statement::Insert(insert) => insert::plan(subject, parsed, insert),
        Statement::Update(update) => update::plan(subject, parsed, update),
        Statement::Delete(delete) => delete::plan(subject, parsed, delete),
        _ => opaque::plan(subject, "this statement"),
    }
}
