//! SELECT.

use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{ObjectName, Query, SetExpr, Statement, Visit, Visitor};

use super::action::{Action, Home, Routed};
use super::error::PlanError;
use super::hint::Hints;
use super::keys::{Colocated, Keys, colocate};
use super::names::base;
use super::outline::Outline;
use super::scatter;
use super::shape::{Builder, Met};
use super::types::{Access, LogicalTable, NameEntry, NameMap, Needs, Pins, StatementKind};
use super::{Plan, PlanContext};
use crate::sql::Literal;

/// A statement that is being planned.
pub(crate) struct Subject<'a> {
    /// The rules and the columns.
    pub context: &'a PlanContext<'a>,
    /// The text.
    pub sql: &'a [u8],
    /// Its literals.
    pub literals: &'a [Literal],
    /// Its tokens.
    pub outline: Outline,
    /// Its hint comments.
    pub hints: Hints,
}

impl<'a> Subject<'a> {
    /// Reads the tokens and hints of a statement.
    pub fn new(context: &'a PlanContext<'a>, sql: &'a [u8], literals: &'a [Literal]) -> Result<Self, PlanError> {
        let outline = Outline::new(sql, context.mode);
        Ok(Self { context, sql, literals, hints: Hints::read(sql, context)?, outline })
    }

    /// A builder for the shape of this statement.
    pub fn builder(&self) -> Builder<'_> {
        Builder::new(self.context, self.sql, self.literals, &self.outline)
    }

    /// Where a statement goes that no table sends anywhere.
    pub fn home(&self) -> Home {
        let rules = self.context.rules;
        let schema = self.context.schema;
        let databases = schema.map(|schema| schema.databases()).unwrap_or_default();
        let group = self.hints.group.or_else(|| schema.and_then(|schema| schema.default_group));
        let group = group.or_else(|| databases.first().map(|(group, _)| *group)).or_else(|| rules.group_ids().next());
        let group = group.unwrap_or(crate::config::GroupId(0));
        let physical = databases.into_iter().filter(|(of, _)| *of == group).map(|(_, database)| database);
        let logical = schema.map(|schema| Arc::clone(&schema.name));
        // the physical schema of the logical name, if the group has it
        let schema = physical.min_by_key(|database| Some(database) != logical.as_ref()).or(logical);
        let name = rules.groups.get(group.index()).map_or_else(|| "?".into(), |group| group.name.clone());
        let label = schema.as_ref().map_or_else(|| Arc::clone(&name), |schema| format!("{name}.{schema}").into());
        Home { group, schema, label }
    }

    /// Every name of a table in the tree must have been met, else something was not understood.
    pub fn check_complete(&self, statement: &impl Visit, builder: &Builder<'_>) -> Result<(), PlanError> {
        struct Counter(usize);
        impl Visitor for Counter {
            type Break = ();
            fn pre_visit_relation(&mut self, _: &ObjectName) -> ControlFlow<()> {
                self.0 += 1;
                ControlFlow::Continue(())
            }
        }
        let mut counter = Counter(0);
        let _ = statement.visit(&mut counter);
        if counter.0 == builder.relations {
            return Ok(());
        }
        Err(PlanError::not_supported("a table in this place of a statement", "write the statement in another way"))
    }

    /// A plan around an action.
    pub fn plan(&self, kind: StatementKind, met: &Met, keys: &Keys, action: Action) -> Plan {
        Plan {
            kind,
            access: access(kind, met),
            pins: pins(met),
            needs: Needs { timestamp: met.statement_time },
            server_hint: self.hints.server,
            pinned: Vec::new(),
            tables: logical_tables(keys),
            mode: self.context.mode,
            action,
        }
    }
}

/// Plans a query.
pub(crate) fn plan(subject: &Subject<'_>, statement: &Statement, query: &Query) -> Result<Plan, PlanError> {
    let mut builder = subject.builder();
    let main = builder.query(query, None)?;
    subject.check_complete(statement, &builder)?;
    let keys = Keys::of(&builder.shape, subject.context, &subject.hints);
    let relay = base(&builder, &keys, None).build(subject.sql.len(), subject.literals)?;
    let (colocated, apart) = match colocate(&builder.shape, subject.context, &keys, main) {
        Ok(colocated) => (Some(colocated), PlanError::Internal("tables that meet are apart")),
        Err(apart) => (None, tables_apart(&keys, apart, query)),
    };
    let colocated = colocated.filter(|_| subject.hints.group.is_none());
    let mut pinned = Vec::new();
    let scatter = match &colocated {
        Some(colocated) => scatter::plan(subject, &mut builder, query, main, &keys, colocated, &mut pinned),
        None => Err(apart.clone()),
    };
    if scatter.is_err() {
        // nothing else depends on those literals
        pinned.clear();
    }
    let names = name_map(&keys);
    let forced = subject.hints.group.is_some();
    let routed = Routed { units: keys.units.clone(), colocated, relay, scatter, apart, home: subject.home(), names, forced };
    let mut plan = subject.plan(StatementKind::Select, &builder.shape.met, &keys, Action::Routed(routed));
    plan.pinned = pinned;
    Ok(plan)
}

/// The query inside of parentheses that add nothing.
pub(crate) fn inner(query: &Query) -> &Query {
    match &*query.body {
        SetExpr::Query(inner)
            if query.with.is_none()
                && query.order_by.is_none()
                && query.limit_clause.is_none()
                && query.locks.is_empty() =>
        {
            self::inner(inner)
        }
        _ => query,
    }
}

/// Why tables that are not joined on their keys cannot be read from several shards.
fn tables_apart(keys: &Keys, apart: Option<(usize, usize)>, query: &Query) -> PlanError {
    let name = |unit: usize| keys.units.get(unit).map_or("?", |unit| unit.place.table());
    let instead = "restrict each table to one sharding key by conditions with =, or run the parts one by one";
    match apart {
        _ if matches!(*inner(query).body, SetExpr::SetOperation { .. }) => {
            PlanError::not_supported("UNION, INTERSECT or EXCEPT over several shards", instead)
        }
        Some((one, other)) if one != other => PlanError::not_supported(
            format!("a query over several shards of '{}' and '{}', which are not joined on their sharding keys", name(one), name(other)),
            "join binding tables on all columns of their keys, or restrict each to one shard",
        ),
        Some((one, _)) => PlanError::not_supported(
            format!("several shards of '{}' in a subquery, in WITH or on the nullable side of an outer join", name(one)),
            instead,
        ),
        None => PlanError::not_supported("tables of several groups in one query", "read them one by one"),
    }
}

/// The logical tables of a statement, each once.
pub(crate) fn logical_tables(keys: &Keys) -> Vec<LogicalTable> {
    let mut tables: Vec<LogicalTable> = keys
        .units
        .iter()
        .map(|unit| LogicalTable { schema: unit.place.schema().into(), table: unit.place.table().into() })
        .collect();
    tables.sort();
    tables.dedup();
    tables
}

/// The physical names that differ from the logical ones.
pub(crate) fn name_map(keys: &Keys) -> Option<Arc<NameMap>> {
    let mut entries: Vec<NameEntry> = Vec::new();
    for unit in &keys.units {
        let (schema, table) = (unit.place.schema(), unit.place.table());
        for node in unit.place.nodes() {
            let known = |entry: &NameEntry| entry.physical_table == node.table && entry.physical_schema == node.schema;
            if (*node.schema != *schema || *node.table != *table) && !entries.iter().any(known) {
                entries.push(NameEntry {
                    physical_schema: Arc::clone(&node.schema),
                    physical_table: Arc::clone(&node.table),
                    schema: schema.into(),
                    table: table.into(),
                });
            }
        }
    }
    (!entries.is_empty()).then(|| Arc::new(NameMap { entries }))
}

fn access(kind: StatementKind, met: &Met) -> Access {
    match kind {
        StatementKind::Insert | StatementKind::Update | StatementKind::Delete | StatementKind::Other => Access::Write,
        StatementKind::Ddl => Access::Ddl,
        StatementKind::Select => {
            let bound_to_primary = met.locking
                || met.lock_function
                || met.effect.is_some()
                || met.unknown_function.is_some()
                || met.user_variable
                || met.assigns_variable
                || met.calc_found_rows
                || met.into;
            if bound_to_primary { Access::LockingRead } else { Access::Read }
        }
    }
}

fn pins(met: &Met) -> Pins {
    Pins {
        named_lock: met.lock_function,
        temporary_table: false,
        user_variables: met.user_variable || met.assigns_variable || met.into,
        found_rows: met.calc_found_rows,
        unknown: met.unknown_function.is_some() || met.effect.is_some(),
    }
}

/// Whether the driver's rows are told apart by these columns: equal columns mean one node.
pub(crate) fn holds_key(
    builder: &Builder<'_>,
    keys: &Keys,
    colocated: &Colocated,
    main: usize,
    columns: &[usize],
) -> bool {
    let facts = builder.shape.usable(main, super::shape::Reader::Subquery);
    let classes = super::keys::classes(&builder.shape, builder.context, &facts);
    let Some(keyed) = keys.units.get(colocated.driver).and_then(|unit| unit.keyed.as_ref()) else { return false };
    keyed.equal_keys_meet()
        && !keyed.columns.is_empty()
        && keyed.columns.iter().all(|name| {
            let key = builder.shape.find_column(keys.refs[colocated.driver], name);
            key.is_some_and(|key| columns.iter().any(|column| classes.same(key, *column)))
        })
}
