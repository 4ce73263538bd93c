//! HAVING on groups that lie on several shards: each shard judges its part of a group, and all must come to the same.
//!
//! That is so for conditions on the GROUP BY keys alone, which are equal in all parts. Texts that are equal may still be
//! written in several ways, so they may only be compared with a constant as their collation compares them.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, GroupByExpr, UnaryOperator, Value, Visit, Visitor};

use super::key::type_of;
use super::{Weave, refused};
use crate::merge::KeyExpression;
use crate::plan::error::PlanError;
use crate::plan::shape::{ColumnId, bare, is_aggregated};

/// How the values of a key are, that are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Equal {
    /// The same in every way.
    Same,
    /// Equal as numbers or moments: -0 and 0, what an expression gives.
    Number,
    /// Texts that may be written in several ways.
    Text,
}

impl Weave<'_, '_> {
    /// Refuses a HAVING that shards could judge differently.
    pub(super) fn check_having(&mut self, implicit: bool) -> Result<(), PlanError> {
        let Some(having) = &self.select.having else { return Ok(()) };
        if implicit || is_aggregated(having) {
            return Err(refused("HAVING with aggregates, on groups that lie"));
        }
        if self.judges_alike(having) {
            return Ok(());
        }
        Err(refused("HAVING on something else than GROUP BY keys, on groups that lie"))
    }

    fn judges_alike(&mut self, expr: &Expr) -> bool {
        let compares = |op: &BinaryOperator| {
            use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq, Spaceship};
            matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | Spaceship)
        };
        match bare(expr) {
            Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor, right } => {
                self.judges_alike(left) && self.judges_alike(right)
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => self.judges_alike(expr),
            Expr::IsNull(inner) | Expr::IsNotNull(inner) if self.group_key_of(inner).is_some() => true,
            Expr::BinaryOp { left, op, right } if compares(op) => {
                self.compares_alike(left, &[right]) || self.compares_alike(right, &[left]) || self.uses_same(expr)
            }
            Expr::InList { expr: key, list, .. } => {
                self.compares_alike(key, &list.iter().collect::<Vec<_>>()) || self.uses_same(expr)
            }
            Expr::Between { expr: key, low, high, .. } => {
                self.compares_alike(key, &[low, high]) || self.uses_same(expr)
            }
            other => self.uses_same(other),
        }
    }

    /// Whether a key is compared with constants that take its own way of comparing.
    fn compares_alike(&mut self, key: &Expr, with: &[&Expr]) -> bool {
        match self.group_key_of(key) {
            Some(Equal::Same | Equal::Number) => with.iter().all(|value| is_literal(value, true)),
            Some(Equal::Text) => with.iter().all(|value| is_literal(value, false)),
            None => false,
        }
    }

    /// Whether all columns in an expression are keys whose equal values are the same.
    fn uses_same(&mut self, expr: &Expr) -> bool {
        struct Names(Vec<Expr>);
        impl Visitor for Names {
            type Break = ();
            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
                let is_name = match expr {
                    Expr::Identifier(name) => !name.value.starts_with('@'),
                    Expr::CompoundIdentifier(parts) => !parts.iter().any(|part| part.value.starts_with('@')),
                    _ => false,
                };
                if is_name {
                    self.0.push(expr.clone());
                }
                ControlFlow::Continue(())
            }
        }
        let mut names = Names(Vec::new());
        let _ = expr.visit(&mut names);
        names.0.iter().all(|name| self.group_key_of(name) == Some(Equal::Same))
    }

    /// What a name is that stands for a GROUP BY key; nothing if it may stand for something else.
    fn group_key_of(&mut self, name: &Expr) -> Option<Equal> {
        let column = self.builder.resolve_expr(name, self.main);
        let keys = self.builder.shape.blocks[self.main].group_columns.clone();
        if let Expr::Identifier(name) = bare(name) {
            let is_named = |alias: &String| alias.eq_ignore_ascii_case(&name.value);
            let aliased: Vec<Option<ColumnId>> =
                self.items.iter().filter(|item| item.alias.as_ref().is_some_and(is_named)).map(|i| i.column).collect();
            if let [of_item] = aliased.as_slice() {
                return match (of_item, column) {
                    (Some(of_item), None) if keys.contains(of_item) => self.equal(*of_item),
                    (Some(of_item), Some(column)) if of_item == &column && keys.contains(of_item) => self.equal(column),
                    // `GROUP BY y` where y is the alias of an expression; the merge takes no texts for it
                    (None, None) if self.groups_by_name(&name.value) => Some(Equal::Number),
                    _ => None,
                };
            }
            if !aliased.is_empty() {
                return None;
            }
        }
        column.filter(|column| keys.contains(column)).and_then(|column| self.equal(column))
    }

    fn groups_by_name(&self, name: &str) -> bool {
        let GroupByExpr::Expressions(keys, _) = &self.select.group_by else { return false };
        keys.iter().any(|key| matches!(bare(key), Expr::Identifier(key) if key.value.eq_ignore_ascii_case(name)))
    }

    fn equal(&self, column: ColumnId) -> Option<Equal> {
        if self.subject.context.assume_types {
            return Some(Equal::Same);
        }
        let (data_type, collation) = type_of(&self.builder.shape, column)?;
        let form = KeyExpression::for_column(&data_type, collation.as_deref()).ok()?;
        Some(match form {
            KeyExpression::Itself if !matches!(&*data_type, "double" | "real") => Equal::Same,
            KeyExpression::WeightString(_) | KeyExpression::Index => Equal::Text,
            _ => Equal::Number,
        })
    }
}

/// Whether an expression is a constant that takes the collation of what it is compared with, or a number.
fn is_literal(expr: &Expr, numbers: bool) -> bool {
    match bare(expr) {
        Expr::Value(value) => match value.value {
            Value::SingleQuotedString(_) | Value::DoubleQuotedString(_) | Value::Null => true,
            Value::Number(..) | Value::Boolean(_) => numbers,
            _ => false,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => numbers && is_literal(expr, true),
        _ => false,
    }
}
