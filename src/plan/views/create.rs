//! CREATE VIEW, ALTER VIEW: over the parts of tables that are on the default group.

use std::ops::Range;
use std::sync::Arc;

use sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Statement};

use super::SplitView;
use crate::config::{DataNode, GroupId};
use crate::plan::action::Action;
use crate::plan::error::PlanError;
use crate::plan::given::{Given, GivenStatement};
use crate::plan::keys::Keys;
use crate::plan::place::{self, Place};
use crate::plan::query::Subject;
use crate::plan::shape::{Builder, Met, RefKind, TableRef};
use crate::plan::types::{LogicalTable, NameEntry, NameMap, StatementKind};
use crate::plan::unit::quoted;
use crate::plan::{Plan, opaque};
use crate::sql::names::TableName;
use crate::sql::{parse, scan, spans};

/// The longest name of a column that a view takes from an expression, in characters; longer ones are made up.
const MAX_NAME_CHARS: usize = 64;

/// Plans the definition of a view: its name, and where its query stands.
pub(crate) fn define(subject: &Subject<'_>, view: &TableName, query: &Range<usize>) -> Result<Plan, PlanError> {
    let context = subject.context;
    let written = view.schema.as_ref().map(|schema| schema.text.as_str());
    let Some(schema) = place::schema_of(context, written)? else { return opaque::plan(subject, "a system's view") };
    let name = &view.table.text;
    if schema.is_part(name) || schema.table(name).is_some() {
        return Err(PlanError::not_supported(
            format!("a view with the name '{name}', which the rules give to a table"),
            "choose another name",
        ));
    }
    let Some(group) = schema.default_group else {
        return Err(PlanError::not_supported(
            format!("a view in the schema '{}', which has no default group", schema.name),
            "give the schema a default_group",
        ));
    };
    let query = without_check(subject, query);
    let text = subject.sql.get(query.clone()).unwrap_or_default();
    let Ok(parsed) = parse(text, context.mode) else { return opaque::plan(subject, "a view that is not parsed") };
    let Statement::Query(tree) = &parsed.statement else { return opaque::plan(subject, "this view") };
    let mut literals = Vec::new();
    let scanned = scan(text, context.mode, &mut literals);
    let inside = Subject::new(context, text, &scanned, &literals)?;
    let mut builder = inside.builder();
    builder.note(&parsed.notes);
    builder.query(tree, None)?;
    inside.check_complete(&parsed.statement, &builder)?;
    let (mut edits, names) = parts(&builder, group)?;
    item_names(&inside, tree, &mut edits);
    edits.iter_mut().for_each(|(range, _)| *range = range.start + query.start..range.end + query.start);
    let start = view.schema.as_ref().map_or(view.table.range.start, |schema| schema.range.start);
    edits.push((start..view.table.range.end, format!("{}.{}", quoted(&schema.name), quoted(name))));
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let statement = GivenStatement {
        label: format!("{}.{}", context.rules.group(group).name, schema.name).into(),
        group,
        schema: Some(Arc::clone(&schema.name)),
        sql: edited(subject.sql, &edits).into(),
    };
    let names = (!names.is_empty()).then(|| Arc::new(NameMap { entries: names, views: Vec::new() }));
    let given = Given { statements: vec![statement], merge: None, names, names_in_rows: false };
    let keys = Keys { units: Vec::new(), refs: Vec::new() };
    let mut plan = subject.plan(StatementKind::Ddl, &Met::default(), &keys, Action::Given(given));
    // what it reads is named too: who may not see that may not read it by way of a view
    plan.tables = read_by(&builder);
    plan.tables.push(LogicalTable { schema: Arc::clone(&schema.name), table: name.as_str().into() });
    plan.tables.sort();
    plan.tables.dedup();
    Ok(subject.only_for_these_literals(plan))
}

/// The tables that the query of a view names.
fn read_by(builder: &Builder<'_>) -> Vec<LogicalTable> {
    let place = |reference: &TableRef| match &reference.kind {
        RefKind::Table { place, .. } => Some(place.clone()),
        _ => None,
    };
    let places = builder.shape.refs.iter().filter_map(place);
    let read = places.map(|place| LogicalTable { schema: place.schema().into(), table: place.table().into() });
    read.filter(|table| !table.schema.eq_ignore_ascii_case("information_schema")).collect()
}

/// The query without WITH [CASCADED | LOCAL] CHECK OPTION.
fn without_check(subject: &Subject<'_>, query: &Range<usize>) -> Range<usize> {
    let outline = &subject.outline;
    let is = |index: Option<usize>, words: &[&str]| index.is_some_and(|at| outline.is_keyword(subject.sql, at, words));
    let tokens = outline.tokens();
    let back = |count: usize| tokens.len().checked_sub(count);
    if !is(back(1), &["OPTION"]) || !is(back(2), &["CHECK"]) {
        return query.clone();
    }
    let with = if is(back(3), &["CASCADED", "LOCAL"]) { back(4) } else { back(3) };
    let at = with.filter(|at| outline.is_keyword(subject.sql, *at, &["WITH"])).map(|at| tokens[at].start);
    query.start..at.filter(|at| *at > query.start).unwrap_or(query.end)
}

type Edits = Vec<(Range<usize>, String)>;

/// Each table becomes its first part on a group, under its own name as an alias.
fn parts(builder: &Builder<'_>, group: GroupId) -> Result<(Edits, Vec<NameEntry>), PlanError> {
    let mut edits = Edits::new();
    let mut names = Vec::new();
    let mut changed = Vec::new();
    for (id, reference) in builder.shape.refs.iter().enumerate() {
        let RefKind::Table { place, .. } = &reference.kind else { continue };
        if place.is_system() {
            continue;
        }
        let node = part(builder, reference, place, group)?;
        let renamed = *node.table != *place.table();
        let alias = if renamed && reference.alias.is_none() {
            format!(" AS {}", quoted(&reference.name))
        } else {
            String::new()
        };
        edits.push((reference.range.clone(), format!("{}.{}{alias}", quoted(&node.schema), quoted(&node.table))));
        changed.push(id);
        if renamed || *node.schema != *place.schema() {
            names.push(NameEntry {
                physical_schema: Arc::clone(&node.schema),
                physical_table: Arc::clone(&node.table),
                schema: place.schema().into(),
                table: place.table().into(),
            });
        }
    }
    for qualifier in builder.shape.qualifiers.iter().filter(|qualifier| qualifier.schema.is_some()) {
        if changed.contains(&qualifier.table) {
            let visible = quoted(builder.shape.refs[qualifier.table].visible_name());
            edits.push((qualifier.range.clone(), visible));
        }
    }
    Ok((edits, names))
}

fn part<'p>(
    builder: &Builder<'_>,
    reference: &TableRef,
    place: &'p Place,
    group: GroupId,
) -> Result<&'p DataNode, PlanError> {
    place.nodes().iter().find(|node| node.group == group).ok_or_else(|| {
        let kind = SplitView::find(builder.context, reference.schema.as_deref(), &reference.name);
        let what = if kind.is_some() { "view" } else { "table" };
        PlanError::not_supported(
            format!("a view over the {what} '{}', of which nothing is on the default group", place.table()),
            "give the table a part there, or define the view in a schema whose default group has one",
        )
    })
}

/// Items of the select list without alias keep the names that their text gives them.
fn item_names(inside: &Subject<'_>, query: &Query, edits: &mut Edits) {
    let mut body = &*query.body;
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(query) => body = &query.body,
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return,
        }
    };
    let clauses =
        spans::range_of(select.select_token.0.span).and_then(|select| inside.outline.clauses(inside.sql, select.start));
    let Some(clauses) = clauses.filter(|clauses| clauses.items.len() == select.projection.len()) else { return };
    for (item, range) in select.projection.iter().zip(clauses.items) {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let is_changed = edits.iter().any(|(edit, _)| edit.start >= range.start && edit.end <= range.end);
        if !is_changed || matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            continue;
        }
        let name = String::from_utf8_lossy(inside.sql.get(range.clone()).unwrap_or_default());
        if name.chars().count() <= MAX_NAME_CHARS {
            edits.push((range.end..range.end, format!(" AS {}", quoted(&name))));
        }
    }
}

/// A text with some of its ranges replaced, in order.
fn edited(sql: &[u8], edits: &Edits) -> Vec<u8> {
    let mut out = Vec::with_capacity(sql.len() + 64);
    let mut at = 0;
    for (range, text) in edits {
        out.extend_from_slice(sql.get(at..range.start).unwrap_or_default());
        out.extend_from_slice(text.as_bytes());
        at = range.end;
    }
    out.extend_from_slice(sql.get(at..).unwrap_or_default());
    out
}
