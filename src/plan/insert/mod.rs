//! INSERT and REPLACE.

mod action;
mod listed;
mod on_duplicate;
mod own_key;
mod rows;

use std::sync::Arc;

use sqlparser::ast::{Expr, Insert, SetExpr, TableObject};

use super::Plan;
use super::action::{Action, Everywhere, Routed};
use super::compose::{Compose, EvaluatedValues, InsertRows, Taker};
use super::error::PlanError;
use super::forms;
use super::functions;
use super::keys::{Keys, colocate};
use super::names::base;
use super::place::Place;
use super::query::{Subject, name_map};
use super::shape::{BlockId, Builder, Position, bare};
use super::types::StatementKind;
use super::update::same_everywhere;
use crate::catalog::{ColumnInfo, TableInfo};
use crate::config::{KeyGenerator, Schema, Table};
use crate::id::KeyMaker;
use crate::route::source::Source;
use crate::sql::Parsed;
use crate::sql::splice::Piece as TextPiece;
pub(crate) use action::InsertAction;
pub(crate) use own_key::OwnKey;
pub(crate) use rows::{default_generator, maker};

/// Plans an INSERT or REPLACE.
pub(crate) fn plan(subject: &Subject<'_>, parsed: &Parsed, insert: &Insert) -> Result<Plan, PlanError> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(PlanError::not_supported("this target of INSERT", "name a table"));
    };
    let mut builder = subject.builder();
    builder.note(&parsed.notes);
    let block = builder.block(None);
    builder.table(name, None, block)?;
    let columns = builder.insert_columns(insert, block)?;
    builder.insert_values(insert, block)?;
    builder.on_duplicate(insert, block)?;
    builder.returning(insert.returning.as_deref(), block)?;
    subject.check_complete(&parsed.statement, &builder)?;
    let keys = Keys::of(&builder.shape, subject.context, &subject.hints);
    let place = keys.units.first().map(|unit| unit.place.clone());
    let place = place.ok_or_else(|| PlanError::not_supported("this target of INSERT", "name a table"))?;
    let info = subject.context.catalog.table(place.schema(), place.table());
    if info.is_none() && place.sharded().is_some() && !subject.context.assume_types {
        let (schema, table) = (place.schema().to_owned(), place.table().to_owned());
        return Err(PlanError::NoSuchTable { schema, table });
    }
    forms::check_rows(subject, values_of(insert), info.as_deref())?;
    if insert.source.is_none() || values_of(insert).is_some() {
        let target = builder.shape.blocks[block].refs.first().copied();
        forms::check_target_unread(&builder.shape, block, &[target])?;
    }
    let compose = compose(subject, &builder, &keys, insert, columns.as_deref(), parsed);
    let action = if super::system::is_mixed(&builder) {
        Err(super::system::mixed())
    } else if place.sharded().is_some() {
        rows::plan(subject, &mut builder, &keys, insert, columns.as_deref(), parsed).map(Action::Insert)
    } else if let Some(table) = place.broadcast()
        && !forms::may_differ(&builder.shape, block, compose.is_some())
    {
        broadcast(subject, &builder, &keys, table, info.as_deref(), insert, columns.as_deref())
    } else if place.broadcast().is_some() {
        Err(forms::each_for_itself())
    } else {
        // rows come without the id that the server has made: it is asked for
        builder.shape.met.sets_insert_id |= insert.returning.is_some();
        relay(subject, &builder, &keys, block)
    };
    let action = action.or_else(|refused| subject.only_composed(refused, compose.as_ref()))?;
    let mut plan = subject.plan(StatementKind::Insert, &builder.shape.met, &keys, action);
    plan.compose = compose.map(Arc::new);
    plan.given_ids = given_ids(subject, &builder, &place, insert, columns.as_deref());
    Ok(plan)
}

/// The values that the rows have for the AUTO_INCREMENT column, where they all may have one and nothing else sets
/// LAST_INSERT_ID(). Of a query none: it is taken to give them.
fn given_ids(
    subject: &Subject<'_>,
    builder: &Builder<'_>,
    place: &Place,
    insert: &Insert,
    columns: Option<&[String]>,
) -> Option<Vec<Source>> {
    let info = subject.context.catalog.table(place.schema(), place.table());
    let name = info.as_deref().and_then(TableInfo::auto_increment)?.name.to_lowercase();
    let position = columns?.iter().position(|column| *column == name)?;
    if insert.on.is_some() {
        return None;
    }
    let known = |expr: &Expr| Some(builder.constant(expr)).filter(|source| !is_default(expr) && source.is_known());
    match values_of(insert) {
        Some(values) => values.rows.iter().map(|row| row.content.get(position).and_then(known)).collect(),
        None if insert.source.is_none() => {
            insert.assignments.get(position).and_then(|assignment| known(&assignment.value)).map(|source| vec![source])
        }
        None => Some(Vec::new()),
    }
}

/// The steps of an INSERT … SELECT.
fn compose(
    subject: &Subject<'_>,
    builder: &Builder<'_>,
    keys: &Keys,
    insert: &Insert,
    columns: Option<&[String]>,
    parsed: &Parsed,
) -> Option<Compose> {
    let met = &builder.shape.met;
    let once = met.assigns_variable || met.lock_function || met.leaves_state;
    let hinted = subject.hints.group.is_some() || subject.hints.shard_value.is_some();
    let is_query = insert.source.is_some() && values_of(insert).is_none();
    if once || hinted || parsed.notes.insert_partition || insert.returning.is_some() {
        return None;
    }
    if !is_query {
        let (spans, takers): (Vec<_>, Vec<_>) =
            rows::to_evaluate(subject, builder, keys, insert, columns?)?.into_iter().unzip();
        let ignore = parsed.notes.ignore;
        return (!spans.is_empty()).then_some(Compose::Values(EvaluatedValues { spans, takers, ignore }));
    }
    if !builder.updates_by_the_target(insert) {
        return None;
    }
    let place = &keys.units.first()?.place;
    let info = subject.context.catalog.table(place.schema(), place.table());
    let names = columns.unwrap_or_default().iter().map(String::as_str);
    let takers = info.as_deref().map(|info| Taker::list(info, names)).unwrap_or_default();
    let mut lacking = info.zip(columns).map(|(info, columns)| lacking(&info, columns)).unwrap_or_default();
    let generator = keys.units[0].keyed.as_ref().and_then(|keyed| keyed.table.key_generator.as_ref());
    lacking.retain(|column| generator.is_none_or(|generator| !generator.column.eq_ignore_ascii_case(column)));
    InsertRows::of(subject, parsed.notes.ignore, takers, lacking).map(Compose::Insert)
}

/// The columns that get no value and have no default, of which a server tells; an ENUM has its first member.
fn lacking(info: &TableInfo, given: &[String]) -> Vec<Box<str>> {
    let lacks = |column: &&ColumnInfo| {
        let is_given = given.iter().any(|name| name.eq_ignore_ascii_case(&column.name));
        let has_value = column.nullable || column.auto_increment || column.generated || column.default.is_some();
        !is_given && !has_value && column.data_type != "enum"
    };
    info.columns.iter().filter(lacks).map(|column| column.name.as_str().into()).collect()
}

/// Into a table that is on one node: there, with all that it reads.
fn relay(subject: &Subject<'_>, builder: &Builder<'_>, keys: &Keys, block: BlockId) -> Result<Action, PlanError> {
    let template = base(builder, keys, Some(0))?.build(subject.sql.len(), subject.literals)?;
    let refused = PlanError::not_supported(
        "INSERT … SELECT from tables of several shards",
        "read the rows first, and insert them as VALUES",
    );
    // what it reads must be on the target's group: the target is one of the tables that must meet
    let colocated =
        colocate(&builder.shape, subject.context, keys, block).ok().filter(|colocated| colocated.members.is_empty());
    Ok(Action::Routed(Routed {
        units: keys.units.clone(),
        colocated,
        relay: template,
        scatter: Err(refused.clone()),
        apart: refused,
        home: subject.home(),
        names: name_map(keys),
        unchanged_keys: Vec::new(),
    }))
}

/// Into a broadcast table: the same rows on all nodes.
fn broadcast(
    subject: &Subject<'_>,
    builder: &Builder<'_>,
    keys: &Keys,
    table: &Table,
    info: Option<&TableInfo>,
    insert: &Insert,
    columns: Option<&[String]>,
) -> Result<Action, PlanError> {
    same_everywhere(&builder.shape.met)?;
    if keys.units.iter().any(|unit| unit.place.broadcast().is_none()) {
        return Err(PlanError::not_supported(
            "INSERT … SELECT into a broadcast table from other tables",
            "read the rows first, and insert them as VALUES",
        ));
    }
    check_defaults(table, info, insert, columns)?;
    if let Some(numbered) = info.and_then(TableInfo::auto_increment) {
        let name = numbered.name.to_lowercase();
        let refused = || {
            PlanError::not_supported(
                format!(
                    "rows of the broadcast table '{}' without a value for their AUTO_INCREMENT column '{name}'",
                    table.name
                ),
                "since each server would number them in its own way: give the value",
            )
        };
        let columns = columns.ok_or_else(refused)?;
        let position = columns.iter().position(|column| *column == name).ok_or_else(refused)?;
        if !builder.gives_value(insert, position) {
            return Err(refused());
        }
    }
    let mut template = base(builder, keys, Some(0))?;
    let is_empty = values_of(insert).is_some_and(|values| values.rows.iter().all(|row| row.content.is_empty()));
    if let Some((at, list)) = listed::list(builder, &builder.shape.refs[keys.refs[0]], info, insert, None)
        && !is_empty
    {
        template.pieces(at, [TextPiece::from(&*list)]);
    }
    let template = template.build(subject.sql.len(), subject.literals)?;
    let names = name_map(keys);
    Ok(Action::Everywhere(vec![Everywhere { units: keys.units.clone(), template, names, same_rows: true }]))
}

/// Defaults of a broadcast table that each server would make in its own way must not be needed.
fn check_defaults(
    table: &Table,
    info: Option<&TableInfo>,
    insert: &Insert,
    columns: Option<&[String]>,
) -> Result<(), PlanError> {
    let is_random = |default: &Option<String>| default.as_deref().is_some_and(functions::calls_random);
    for column in info.iter().flat_map(|info| &info.columns).filter(|column| is_random(&column.default)) {
        let place = columns.and_then(|columns| columns.iter().position(|name| name.eq_ignore_ascii_case(&column.name)));
        let is_left_out = |place: usize| match values_of(insert) {
            Some(values) => values.rows.iter().any(|row| row.content.get(place).is_none_or(is_default)),
            None => insert.assignments.get(place).is_some_and(|assignment| is_default(&assignment.value)),
        };
        if place.is_none_or(is_left_out) {
            return Err(PlanError::not_supported(
                format!("the default of '{}' in the broadcast table '{}'", column.name, table.name),
                "since each server would come to another value: give the value",
            ));
        }
    }
    Ok(())
}

/// The maker of a sharded table's keys, if it counts; `numbered` is its AUTO_INCREMENT column.
pub(crate) fn sequence_of(schema: &Arc<Schema>, table: &Arc<Table>, numbered: &str) -> Option<KeyMaker> {
    let place = Place::Ruled { schema: Arc::clone(schema), table: Arc::clone(table) };
    match &table.key_generator {
        Some(generator) => {
            let counts = matches!(generator.generator, KeyGenerator::AutoSegment { .. });
            counts.then(|| rows::maker(&place, generator, None))
        }
        None => Some(rows::maker(&place, &rows::counted(schema, numbered)?, None)),
    }
}

/// The rows of VALUES.
pub(super) fn values_of(insert: &Insert) -> Option<&sqlparser::ast::Values> {
    match &*insert.source.as_ref()?.body {
        SetExpr::Values(values) => Some(values),
        _ => None,
    }
}

/// `DEFAULT`.
pub(crate) fn is_default(expr: &Expr) -> bool {
    matches!(bare(expr), Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default"))
}

impl Builder<'_> {
    /// The columns that are given, in lower case; all of the table if none are listed. `None` if they are not known.
    fn insert_columns(&mut self, insert: &Insert, block: BlockId) -> Result<Option<Vec<String>>, PlanError> {
        let mut columns = Vec::new();
        for name in &insert.columns {
            columns.push(self.column_name(name, block)?.1);
        }
        for assignment in &insert.assignments {
            columns.push(self.assigned(assignment, block)?.1);
        }
        if columns.is_empty() && insert.assignments.is_empty() {
            let table = self.shape.blocks[block].refs.first().copied();
            return Ok(table.and_then(|table| self.column_names(table)));
        }
        Ok(Some(columns))
    }

    fn insert_values(&mut self, insert: &Insert, block: BlockId) -> Result<(), PlanError> {
        match values_of(insert) {
            Some(values) => {
                for expr in values.rows.iter().flat_map(|row| &row.content) {
                    self.walk(expr, block, Position::On)?;
                }
            }
            None => {
                if let Some(query) = &insert.source {
                    self.query(query, None)?;
                }
            }
        }
        for assignment in &insert.assignments {
            self.walk(&assignment.value, block, Position::On)?;
        }
        Ok(())
    }

    /// Whether a column has a value in each row that is surely neither NULL, DEFAULT nor 0.
    fn gives_value(&self, insert: &Insert, position: usize) -> bool {
        let gives = |expr: &Expr| match self.constant(expr) {
            crate::route::source::Source::Literal { index, .. } => {
                let literal = self.literals.get(index as usize);
                literal.is_some_and(|literal| {
                    !literal.bytes(self.sql).iter().all(|byte| matches!(byte, b'0' | b'.' | b'\'' | b' '))
                })
            }
            _ => false,
        };
        match values_of(insert) {
            Some(values) => values.rows.iter().all(|row| row.content.get(position).is_some_and(gives)),
            None if insert.source.is_none() => {
                insert.assignments.get(position).is_some_and(|assignment| gives(&assignment.value))
            }
            // what a query gives is looked at when it is read
            None => false,
        }
    }
}
