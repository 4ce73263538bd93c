//! ON DUPLICATE KEY UPDATE.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Assignment, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Insert, OnInsert, Query, Visit, Visitor,
};

use super::is_default;
use crate::plan::error::PlanError;
use crate::plan::shape::{BlockId, Builder, Position, RefKind, TableRef, bare};

impl Builder<'_> {
    /// Reads the assignments.
    pub(super) fn on_duplicate(&mut self, insert: &Insert, block: BlockId) -> Result<(), PlanError> {
        let Some(OnInsert::DuplicateKeyUpdate(assignments)) = &insert.on else {
            return match insert.on {
                None => Ok(()),
                Some(_) => Err(PlanError::not_supported("ON CONFLICT", "write ON DUPLICATE KEY UPDATE")),
            };
        };
        for assignment in assignments {
            self.walk(&assignment.value, block, Position::On)?;
            self.check_duplicate(assignment, block)?;
        }
        Ok(())
    }

    /// ON DUPLICATE KEY UPDATE may not move the row: it may give the key the value that led here, no other.
    fn check_duplicate(&mut self, assignment: &Assignment, block: BlockId) -> Result<(), PlanError> {
        let (_, column) = self.assigned(assignment, block)?;
        let target = self.shape.blocks[block].refs.first().map(|id| &self.shape.refs[*id].kind);
        let Some(RefKind::Table { place, .. }) = target else { return Ok(()) };
        let Some(table) = place.sharded() else { return Ok(()) };
        if !table.key_columns().iter().any(|key| **key == *column) || is_values_of(&assignment.value, &column) {
            return Ok(());
        }
        Err(PlanError::not_supported(
            format!("changing the sharding key '{column}' in ON DUPLICATE KEY UPDATE"),
            "leave the key as it is, or delete the row and insert it anew",
        ))
    }

    /// Whether the assignments name columns of the target alone. Beside a query they may name those of its tables too, which
    /// no VALUES has (*INSERT … ON DUPLICATE KEY UPDATE Statement*); a name that both have is an error.
    pub(super) fn updates_by_the_target(&self, insert: &Insert) -> bool {
        let Some(OnInsert::DuplicateKeyUpdate(assignments)) = &insert.on else { return true };
        let Some((target, others)) = self.shape.refs.split_first() else { return false };
        let columns = |id: usize| self.column_names(id);
        let Some(own) = columns(0) else { return false };
        let others: Vec<(&TableRef, Option<Vec<String>>)> =
            others.iter().enumerate().map(|(at, table)| (table, columns(at + 1))).collect();
        let mut names = Names { target, own: &own, others: &others, in_values: 0 };
        assignments.iter().all(|assignment| assignment.value.visit(&mut names).is_continue())
    }
}

/// Breaks off at a name that may be another table's.
struct Names<'a> {
    target: &'a TableRef,
    own: &'a [String],
    others: &'a [(&'a TableRef, Option<Vec<String>>)],
    /// How many VALUES(…) are around it: what stands there is a column of the target.
    in_values: usize,
}

impl Names<'_> {
    fn is_own(&self, name: &str) -> bool {
        let is_name = |column: &String| column.eq_ignore_ascii_case(name);
        self.own.iter().any(is_name)
            && self.others.iter().all(|(_, columns)| columns.as_ref().is_some_and(|all| !all.iter().any(is_name)))
    }

    fn is_target(&self, table: &str) -> bool {
        let is_name = |table_ref: &TableRef| table_ref.visible_name().eq_ignore_ascii_case(table);
        is_name(self.target) && !self.others.iter().any(|(other, _)| is_name(other))
    }
}

impl Visitor for Names<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let is_right = match expr {
            _ if self.in_values > 0 => true,
            Expr::Identifier(name) => name.value.starts_with('@') || is_default(expr) || self.is_own(&name.value),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, _] => table.value.starts_with('@') || self.is_target(&table.value),
                _ => false,
            },
            _ => true,
        };
        self.in_values += usize::from(is_values(expr));
        if is_right { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.in_values -= usize::from(is_values(expr));
        ControlFlow::Continue(())
    }
}

/// A call of VALUES() or, as MariaDB calls it too, VALUE().
fn is_values(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else { return false };
    let name = function.name.to_string();
    name.eq_ignore_ascii_case("values") || name.eq_ignore_ascii_case("value")
}

/// `VALUES(column)`.
fn is_values_of(expr: &Expr, column: &str) -> bool {
    let Expr::Function(function) = bare(expr) else { return false };
    let FunctionArguments::List(list) = &function.args else { return false };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name)))] = list.args.as_slice() else {
        return false;
    };
    function.name.to_string().eq_ignore_ascii_case("values") && name.value.eq_ignore_ascii_case(column)
}
