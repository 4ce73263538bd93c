//! Which logical schemas a query over `information_schema` can ask for.

use std::sync::Arc;

use sqlparser::ast::{BinaryOperator, Expr, JoinConstraint, JoinOperator, Query, Select, SetExpr, TableFactor, Value};

use crate::config::Schema;
use crate::plan::query::inner;
use crate::plan::shape::{Builder, RefId, RefKind};
use crate::plan::types::PinnedLiteral;
use crate::sql::spans;

/// Names of columns that hold a schema, by their ending.
const ENDINGS: &[&str] = &["_schema", "schema_name"];

/// The schemas that rows of a reference can be of; all where the query does not say.
pub(super) fn of(builder: &Builder<'_>, query: &Query, id: RefId, pinned: &mut Vec<PinnedLiteral>) -> Vec<Arc<Schema>> {
    let rules = builder.context.rules;
    let all = || rules.schemas.values().cloned().collect();
    let tables = builder.shape.refs.iter().filter(|reference| matches!(reference.kind, RefKind::Table { .. })).count();
    // a name means the same everywhere in one block, and there is no doubt about a single table
    if builder.shape.blocks.len() != 1 && tables != 1 {
        return all();
    }
    let Some(select) = innermost(query) else { return all() };
    let conditions = Conditions::of(select);
    let alone = tables == 1;
    let mut names = vec![builder.shape.refs[id].visible_name().to_lowercase()];
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        for (qualifier, value) in &conditions.constants {
            if (qualifier.is_none() && alone) || qualifier.as_deref() == Some(&*name) {
                return one(builder, value, pinned).unwrap_or_else(all);
            }
        }
        for (left, right) in &conditions.same {
            let other = if *left == name { right } else { left };
            if (*left == name || *right == name) && !names.contains(other) {
                names.push(other.clone());
            }
        }
        next += 1;
    }
    all()
}

/// The SELECT that reads tables: the outer one, or that of a derived table which stands alone in FROM.
fn innermost(query: &Query) -> Option<&Select> {
    let SetExpr::Select(select) = &*inner(query).body else { return None };
    match select.from.as_slice() {
        [only] if only.joins.is_empty() => match &only.relation {
            TableFactor::Derived { subquery, .. } => innermost(subquery),
            _ => Some(select),
        },
        _ => Some(select),
    }
}

/// The schema that a constant names. A schema that is none of ours has no rows anywhere.
fn one(builder: &Builder<'_>, value: &Expr, pinned: &mut Vec<PinnedLiteral>) -> Option<Vec<Arc<Schema>>> {
    match value {
        Expr::Value(value) => {
            let Value::SingleQuotedString(_) = &value.value else { return None };
            let range = spans::range_of(value.span)?;
            let index = builder.literals.iter().position(|literal| literal.start as usize == range.start)?;
            let text: Box<[u8]> = builder.sql.get(range)?.into();
            let found = builder.literals.get(index)?;
            let name = found.value(builder.sql, builder.context.mode).into_owned();
            if !pinned.iter().any(|pinned| pinned.index == index) {
                pinned.push(PinnedLiteral { index, text });
            }
            let name = std::str::from_utf8(&name).ok()?.to_owned();
            let rules = builder.context.rules;
            Some(rules.schemas.values().filter(|schema| schema.name.eq_ignore_ascii_case(&name)).cloned().collect())
        }
        _ => Some(builder.context.schema.into_iter().cloned().collect()),
    }
}

/// What the conditions of a SELECT say about schemas.
#[derive(Default)]
struct Conditions<'a> {
    /// A column with this qualifier is this constant.
    constants: Vec<(Option<String>, &'a Expr)>,
    /// Columns with these qualifiers are equal.
    same: Vec<(String, String)>,
}

impl<'a> Conditions<'a> {
    fn of(select: &'a Select) -> Self {
        let mut conditions = Self::default();
        if let Some(selection) = &select.selection {
            conditions.read(selection);
        }
        for join in select.from.iter().flat_map(|item| &item.joins) {
            if let JoinOperator::Join(JoinConstraint::On(on)) | JoinOperator::Inner(JoinConstraint::On(on)) =
                &join.join_operator
            {
                conditions.read(on);
            }
            if let JoinOperator::Left(JoinConstraint::On(on)) | JoinOperator::LeftOuter(JoinConstraint::On(on)) =
                &join.join_operator
            {
                // the equalities limit what is joined; that they limit the left side too does not follow, yet a row
                // there finds no partner elsewhere
                let mut outer = Self::default();
                outer.read(on);
                conditions.same.extend(outer.same);
            }
        }
        conditions
    }

    fn read(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Nested(inner) => self.read(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.read(left);
                self.read(right);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match (schema_column(left), schema_column(right))
            {
                (Some(Some(left)), Some(Some(right))) => self.same.push((left, right)),
                (Some(qualifier), None) if is_constant(right) => self.constants.push((qualifier, right)),
                (None, Some(qualifier)) if is_constant(left) => self.constants.push((qualifier, left)),
                _ => {}
            },
            _ => {}
        }
    }
}

/// The qualifier of a column that holds a schema.
#[allow(clippy::option_option)]
fn schema_column(expr: &Expr) -> Option<Option<String>> {
    let (qualifier, column) = match expr {
        Expr::Identifier(name) => (None, name),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., table, name] => (Some(table.value.to_lowercase()), name),
            _ => return None,
        },
        _ => return None,
    };
    let column = column.value.to_ascii_lowercase();
    // that of another table
    if column.starts_with("referenced_") || column.starts_with("unique_") {
        return None;
    }
    ENDINGS.iter().any(|ending| column.ends_with(ending)).then_some(qualifier)
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Function(function) => {
            let name = function.name.to_string();
            name.eq_ignore_ascii_case("database") || name.eq_ignore_ascii_case("schema")
        }
        _ => false,
    }
}
