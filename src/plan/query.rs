//! SELECT.

use std::cell::RefCell;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use sqlparser::ast::{ObjectName, Query, SetExpr, Visit, Visitor};

use super::action::{Action, Home, QueryAction, Routed};
use super::compose::{Compose, OnlyComposed};
use super::error::PlanError;
use super::hint::Hints;
use super::keys::{Colocated, Keys, colocate};
use super::names::base;
use super::outline::{Outline, same_tokens};
use super::place;
use super::scatter::{self, Skip};
use super::shape::{Builder, Met, is_cut};
use super::types::{Access, LogicalTable, NameEntry, NameMap, Needs, PinnedLiteral, Pins, StatementKind};
use super::unit::Unit;
use super::{Plan, PlanContext};
use crate::catalog::ColumnInfo;
use crate::config::GroupId;
use crate::sql::lexer::TokenKind;
use crate::sql::{Literal, Parsed, Scan, literal};

/// A statement that is being planned.
pub(crate) struct Subject<'a> {
    /// The rules and the columns.
    pub context: &'a PlanContext<'a>,
    /// The text.
    pub sql: &'a [u8],
    /// What the digest says of it.
    pub scan: &'a Scan,
    /// Its literals.
    pub literals: &'a [Literal],
    /// Its tokens.
    pub outline: Outline,
    /// Its hint comments.
    pub hints: Hints,
    /// Literals that were looked at: the plan holds for texts with these.
    looked_at: RefCell<Vec<PinnedLiteral>>,
}

impl<'a> Subject<'a> {
    /// Reads the tokens and hints of a statement.
    pub fn new(
        context: &'a PlanContext<'a>,
        sql: &'a [u8],
        scan: &'a Scan,
        literals: &'a [Literal],
    ) -> Result<Self, PlanError> {
        let outline = Outline::new(sql, context.mode);
        let hints = Hints::read(sql, context)?;
        Ok(Self { context, sql, scan, literals, hints, outline, looked_at: RefCell::default() })
    }

    /// The user variables that the text assigns: `@x := …`, and those of `INTO`.
    pub fn assigned_variables(&self) -> Vec<String> {
        let tokens = self.outline.tokens();
        let mut into = false;
        let mut names: Vec<String> = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            let is_symbol = |at: usize, symbol| tokens.get(at).is_some_and(|token| token.is_symbol(self.sql, symbol));
            into = match token.kind {
                TokenKind::Word => token.is_word(self.sql, "into"),
                TokenKind::UserVariable | TokenKind::Symbol => into,
                _ => false,
            };
            let assigned = is_symbol(index + 1, b':') && is_symbol(index + 2, b'=');
            if token.kind == TokenKind::UserVariable && (into || assigned) {
                let name = literal::user_variable(&token.bytes(self.sql)[1..], self.context.mode);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// All user variables that the text names: any of them may be an OUT parameter.
    pub fn named_variables(&self) -> Vec<String> {
        let named = self.outline.tokens().iter().filter(|token| token.kind == TokenKind::UserVariable);
        let mut names: Vec<String> =
            named.map(|token| literal::user_variable(&token.bytes(self.sql)[1..], self.context.mode)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A builder for the shape of this statement.
    pub fn builder(&self) -> Builder<'_> {
        Builder::new(self.context, self.sql, self.literals, &self.outline)
    }

    /// Where a statement goes that no table sends anywhere.
    pub fn home(&self) -> Home {
        let rules = self.context.rules;
        let schema = self.context.schema;
        let group = self.hints.group.unwrap_or_else(|| place::home_group(self.context));
        let system = self.context.in_information_schema.then(|| "information_schema".into());
        let schema = schema.and_then(|schema| schema.physical_name_on(group)).or(system);
        let name = rules.groups.get(group.index()).map_or_else(|| "?".into(), |group| group.name.clone());
        let label = schema.as_ref().map_or_else(|| Arc::clone(&name), |schema| format!("{name}.{schema}").into());
        Home { group, schema, label, chosen: self.context.schema.map(|schema| Arc::clone(&schema.name)) }
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

    /// Whether two ranges hold the same tokens. If so the plan goes by it, and with other literals they may not.
    pub fn same_text(&self, one: &Range<usize>, other: &Range<usize>) -> bool {
        let is_same = same_tokens(self.sql, self.outline.within(one), self.outline.within(other));
        if is_same && one != other {
            self.look_at(one);
            self.look_at(other);
        }
        is_same
    }

    /// The plan goes by the literals in a range.
    pub fn look_at(&self, range: &Range<usize>) {
        let mut all = self.looked_at.borrow_mut();
        for (index, literal) in self.literals.iter().enumerate() {
            let is_in = range.start <= literal.start as usize && literal.end as usize <= range.end;
            if is_in && literal.kind.is_value() && !all.iter().any(|known| known.index == index) {
                all.push(PinnedLiteral { index, text: literal.bytes(self.sql).into() });
            }
        }
    }

    /// A plan whose action holds the text as it is: other literals make another plan.
    pub fn only_for_these_literals(&self, mut plan: Plan) -> Plan {
        let pinned = self.literals.iter().enumerate().filter(|(_, literal)| literal.kind.is_value());
        plan.pinned =
            pinned.map(|(index, literal)| PinnedLiteral { index, text: literal.bytes(self.sql).into() }).collect();
        plan
    }

    /// The action of a write that runs in steps, if there are such, and is refused else.
    pub fn only_composed(&self, refused: PlanError, compose: Option<&Compose>) -> Result<Action, PlanError> {
        let is_shape = matches!(refused, PlanError::NotSupported { .. } | PlanError::UnknownKey(_));
        if compose.is_none() || !is_shape {
            return Err(refused);
        }
        let params = self.outline.params().len();
        Ok(Action::OnlyComposed(OnlyComposed { refused, home: self.home(), params }))
    }

    /// A plan around an action.
    pub fn plan(&self, kind: StatementKind, met: &Met, keys: &Keys, action: Action) -> Plan {
        Plan {
            kind,
            access: access(kind, met),
            pins: pins(met),
            needs: Needs { timestamp: met.statement_time, row_times: self.writes_time(kind, keys) },
            server_hint: self.hints.server,
            pinned: Vec::new(),
            tables: logical_tables(keys),
            assigned_variables: self.assigned_variables(),
            mode: self.context.mode,
            text_is_utf8: self.context.text_is_utf8,
            action,
            compose: None,
            given_ids: None,
            skip: None,
            warnings: Vec::new(),
            digest: Default::default(),
        }
    }

    /// Whether rows that are written may take the time of the statement by themselves: defaults, ON UPDATE.
    fn writes_time(&self, kind: StatementKind, keys: &Keys) -> bool {
        if !matches!(kind, StatementKind::Insert | StatementKind::Update) {
            return false;
        }
        let takes_time = |column: &ColumnInfo| {
            matches!(&*column.data_type, "timestamp" | "datetime")
                || column.default.as_ref().is_some_and(|default| default.contains('(') || default.contains("CURRENT"))
        };
        keys.units.iter().any(|unit| {
            let info = self.context.catalog.table(unit.place.schema(), unit.place.table());
            info.is_some_and(|info| info.columns.iter().any(takes_time))
        })
    }
}

/// Plans a query.
pub(crate) fn plan(subject: &Subject<'_>, parsed: &Parsed, query: &Query) -> Result<Plan, PlanError> {
    let mut builder = subject.builder();
    builder.note(&parsed.notes);
    let main = builder.query(query, None)?;
    subject.check_complete(&parsed.statement, &builder)?;
    let mut schemas = Vec::new();
    super::system::settle(&mut builder, query, &mut schemas)?;
    let keys = Keys::of(&builder.shape, subject.context, &subject.hints);
    check_locks(&builder.shape.met, &keys, subject.home().group)?;
    let relay = base(&builder, &keys, None)?.build(subject.sql.len(), subject.literals)?;
    let (colocated, apart) = match colocate(&builder.shape, subject.context, &keys, main) {
        // a view is read where it shows all that is asked for, which need not be where the tables' rows are
        _ if super::system::is_mixed(&builder) => (None, super::system::mixed()),
        Ok(colocated) => (Some(colocated), groups_apart(&keys)),
        Err(apart) => (None, tables_apart(&keys, apart, query)),
    };
    let mut pinned = Vec::new();
    let scatter = match &colocated {
        Some(colocated) => scatter::plan(subject, &mut builder, query, main, &keys, colocated, &mut pinned),
        None => Err(apart.clone()),
    };
    if scatter.is_err() {
        // nothing else depends on those literals
        pinned.clear();
    }
    let names = name_map(&keys).or_else(|| super::system::names(&builder));
    let routed = Routed {
        units: keys.units.clone(),
        colocated,
        relay,
        scatter,
        apart,
        home: subject.home(),
        names,
        unchanged_keys: Vec::new(),
    };
    let kind = if parsed.notes.do_statement { StatementKind::Other } else { StatementKind::Select };
    let action = if routed.always_meets() && !routed.compares() {
        Action::Routed(routed)
    } else {
        let scratch = super::scratch::plan(subject, &mut builder, parsed, &keys);
        let combine = match &scratch {
            Ok(scratch) if routed.colocated.is_some() && routed.scatter.is_err() => {
                super::combine::plan(subject, &mut builder, query, main, &keys, scratch, &mut pinned)
            }
            _ => None,
        };
        Action::Query(Box::new(QueryAction { routed, scratch, combine }))
    };
    let mut plan = subject.plan(kind, &builder.shape.met, &keys, action);
    plan.skip = Skip::of(&builder, inner(query));
    let others = schemas.into_iter().chain(subject.looked_at.take());
    pinned.extend(others.filter(|other| !pinned.contains(other)).collect::<Vec<_>>());
    plan.pinned = pinned;
    Ok(plan)
}

/// The query inside of parentheses that add nothing.
pub(crate) fn inner(query: &Query) -> &Query {
    match &*query.body {
        SetExpr::Query(inner)
            if query.with.is_none() && query.order_by.is_none() && !is_cut(query) && query.locks.is_empty() =>
        {
            self::inner(inner)
        }
        _ => query,
    }
}

/// All clients take a lock on one server, the home group's: where a table leads elsewhere, nobody else would meet it.
fn check_locks(met: &Met, keys: &Keys, home: GroupId) -> Result<(), PlanError> {
    let is_at_home = |unit: &Unit| {
        let mut nodes = unit.place.nodes().iter();
        match unit.place.broadcast() {
            Some(_) => nodes.any(|node| node.group == home),
            None => nodes.all(|node| node.group == home),
        }
    };
    if !met.lock_function || keys.units.iter().all(is_at_home) {
        return Ok(());
    }
    Err(PlanError::not_supported(
        "a locking function beside a table of another group, on whose server the lock would be",
        "call it in a statement of its own",
    ))
}

/// Why tables on several groups cannot be read together.
fn groups_apart(keys: &Keys) -> PlanError {
    let fixed = keys.units.iter().find(|unit| unit.keyed.is_none() && unit.place.broadcast().is_none());
    let what = match fixed {
        Some(unit) => format!("'{}' together with shards on other groups", unit.place.table()),
        None => "tables of several groups in one query".to_owned(),
    };
    PlanError::not_supported(what, "read them one by one, or make it a broadcast table")
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
            format!(
                "a query over several shards of '{}' and '{}', which are not joined on their sharding keys",
                name(one),
                name(other)
            ),
            "join binding tables on all columns of their keys, or restrict each to one shard",
        ),
        Some((one, _)) => PlanError::not_supported(
            format!(
                "several shards of '{}' in a subquery, in WITH or on the nullable side of an outer join",
                name(one)
            ),
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
        .filter(|unit| unit.place.schema() != "information_schema")
        .map(|unit| LogicalTable { schema: unit.place.schema().into(), table: unit.place.table().into() })
        .collect();
    tables.sort();
    tables.dedup();
    tables
}

/// The physical names that differ from the logical ones.
pub(crate) fn name_map(keys: &Keys) -> Option<Arc<NameMap>> {
    names_of(&keys.units)
}

/// The physical names of some tables that differ from the logical ones.
pub(crate) fn names_of(units: &[Unit]) -> Option<Arc<NameMap>> {
    let mut entries: Vec<NameEntry> = Vec::new();
    for unit in units.iter().filter(|unit| !unit.place.is_system()) {
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
    (!entries.is_empty()).then(|| Arc::new(NameMap { entries, views: Vec::new() }))
}

fn access(kind: StatementKind, met: &Met) -> Access {
    match kind {
        StatementKind::Insert
        | StatementKind::Update
        | StatementKind::Delete
        | StatementKind::Maintenance
        | StatementKind::Other => Access::Write,
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
        drops_tables: false,
        // a stored function may read and set them without being told their names
        user_variables: met.user_variable || met.assigns_variable || met.into || met.unknown_function.is_some(),
        found_rows: met.calc_found_rows,
        insert_id: met.sets_insert_id,
        unknown: met.unknown_function.is_some() || met.leaves_state,
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
    super::keys::tells_key(&builder.shape, keys, colocated.driver, columns, &classes)
}
