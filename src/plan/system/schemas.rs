//! Which logical schemas and tables a query over `information_schema` can ask for.

use std::sync::Arc;

use sqlparser::ast::{BinaryOperator, Expr, JoinConstraint, JoinOperator, Query, Select, SetExpr, TableFactor, Value};

use crate::config::Schema;
use crate::plan::query::inner;
use crate::plan::shape::{Builder, RefId, RefKind};
use crate::plan::types::PinnedLiteral;
use crate::sql::spans;

/// What rows of a view a query can ask for.
pub(super) struct Wanted {
    /// The logical schemas.
    pub schemas: Vec<Arc<Schema>>,
    /// The logical table; all where the query does not say.
    pub table: Option<String>,
}

/// What a query asks of a reference.
pub(super) fn of(builder: &Builder<'_>, query: &Query, id: RefId, pinned: &mut Vec<PinnedLiteral>) -> Wanted {
    let rules = builder.context.rules;
    let all = || rules.schemas.values().cloned().collect();
    let tables = builder.shape.refs.iter().filter(|reference| matches!(reference.kind, RefKind::Table { .. })).count();
    // a name means the same everywhere in one block, and there is no doubt about a single table
    let understood = builder.shape.blocks.len() == 1 || tables == 1;
    let Some(select) = innermost(query).filter(|_| understood) else { return Wanted { schemas: all(), table: None } };
    let name = builder.shape.refs[id].visible_name().to_lowercase();
    let alone = tables == 1;
    let schema = Conditions::of(select, names_schema).constant(&name, alone);
    let table = Conditions::of(select, names_table).constant(&name, alone);
    let named = |name: &str| rules.schemas.values().filter(|s| s.name.eq_ignore_ascii_case(name)).cloned().collect();
    let schemas = match schema {
        Some(Expr::Value(_)) => schema.and_then(|value| text(builder, value, pinned)).map(|name| named(&name)),
        // DATABASE(), which is information_schema where no schema of ours is chosen
        Some(_) => Some(builder.context.schema.into_iter().cloned().collect()),
        None => None,
    };
    let table = table.and_then(|value| text(builder, value, pinned));
    Wanted { schemas: schemas.unwrap_or_else(all), table }
}

/// A column that holds the schema which a row is about.
fn names_schema(column: &str) -> bool {
    // those of another table
    let is_other = column.starts_with("referenced_") || column.starts_with("unique_");
    !is_other && (column.ends_with("_schema") || column == "schema_name")
}

/// A column that holds the table which a row is about.
fn names_table(column: &str) -> bool {
    column == "table_name" || column == "event_object_table"
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

/// The text of a literal, on which the plan depends from now on.
fn text(builder: &Builder<'_>, value: &Expr, pinned: &mut Vec<PinnedLiteral>) -> Option<String> {
    let Expr::Value(value) = value else { return None };
    let Value::SingleQuotedString(_) = &value.value else { return None };
    let range = spans::range_of(value.span)?;
    let index = builder.literals.iter().position(|literal| literal.start as usize == range.start)?;
    let found = builder.literals.get(index)?;
    let name = std::str::from_utf8(&found.value(builder.sql, builder.context.mode)).ok()?.to_owned();
    if !pinned.iter().any(|pinned| pinned.index == index) {
        pinned.push(PinnedLiteral { index, text: found.bytes(builder.sql).into() });
    }
    Some(name)
}

/// What the conditions of a SELECT say about some columns.
struct Conditions<'a> {
    /// Which columns, by their names in small letters.
    is_column: fn(&str) -> bool,
    /// A column with this qualifier is this constant.
    constants: Vec<(Option<String>, &'a Expr)>,
    /// Columns with these qualifiers are equal.
    same: Vec<(String, String)>,
}

impl<'a> Conditions<'a> {
    fn new(is_column: fn(&str) -> bool) -> Self {
        Self { is_column, constants: Vec::new(), same: Vec::new() }
    }

    /// The constant that the column of a reference is.
    fn constant(&self, name: &str, alone: bool) -> Option<&'a Expr> {
        let mut names = vec![name.to_owned()];
        let mut next = 0;
        while let Some(name) = names.get(next).cloned() {
            for (qualifier, value) in &self.constants {
                if (qualifier.is_none() && alone) || qualifier.as_deref() == Some(&*name) {
                    return Some(value);
                }
            }
            for (left, right) in &self.same {
                let other = if *left == name { right } else { left };
                if (*left == name || *right == name) && !names.contains(other) {
                    names.push(other.clone());
                }
            }
            next += 1;
        }
        None
    }

    fn of(select: &'a Select, is_column: fn(&str) -> bool) -> Self {
        let mut conditions = Self::new(is_column);
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
                let mut outer = Self::new(is_column);
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
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match (self.column(left), self.column(right)) {
                (Some(Some(left)), Some(Some(right))) => self.same.push((left, right)),
                (Some(qualifier), None) if is_constant(right) => self.constants.push((qualifier, right)),
                (None, Some(qualifier)) if is_constant(left) => self.constants.push((qualifier, left)),
                _ => {}
            },
            _ => {}
        }
    }

    /// The qualifier of such a column.
    #[allow(clippy::option_option)]
    fn column(&self, expr: &Expr) -> Option<Option<String>> {
        let (qualifier, column) = match expr {
            Expr::Identifier(name) => (None, name),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, name] => (Some(table.value.to_lowercase()), name),
                _ => return None,
            },
            _ => return None,
        };
        (self.is_column)(&column.value.to_ascii_lowercase()).then_some(qualifier)
    }
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
