//! ON DUPLICATE KEY UPDATE.

use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Insert, ObjectNamePart,
    OnInsert, Query, Visit, Visitor, visit_expressions,
};

use super::is_default;
use crate::catalog::TableInfo;
use crate::plan::error::PlanError;
use crate::plan::shape::{BlockId, Builder, Position, RefKind, TableRef, bare};
use crate::plan::types::SessionValues;
use crate::route::key::KeyType;

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
        }
        self.check_duplicates(insert, assignments, block)
    }

    /// ON DUPLICATE KEY UPDATE may not move the row: it may leave the key as it is or give it the value that led here, no
    /// other. Of a key of several columns it may not mix the two.
    fn check_duplicates(
        &mut self,
        insert: &Insert,
        assignments: &[Assignment],
        block: BlockId,
    ) -> Result<(), PlanError> {
        let target = self.shape.blocks[block].refs.first().map(|id| &self.shape.refs[*id].kind);
        let Some(RefKind::Table { place, .. }) = target else { return Ok(()) };
        let Some(table) = place.sharded().cloned() else { return Ok(()) };
        let info = self.context.catalog.table(place.schema(), place.table());
        let keys = table.key_columns();
        let mut given: Vec<String> = Vec::new();
        for assignment in assignments {
            let (_, column) = self.assigned(assignment, block)?;
            if !keys.iter().any(|key| **key == *column) || self.is_itself(insert, &assignment.value, &column, block) {
                continue;
            }
            let is_whole_number = || {
                let column = info.as_deref().and_then(|info| info.column(&column));
                column.is_some_and(|(_, column)| matches!(column.key_type, KeyType::Int { .. }))
            };
            let own = set_by(&assignment.value).filter(|own| self.is_itself(insert, own, &column, block));
            match own {
                Some(_) if is_whole_number() => {}
                None if is_values_of(&assignment.value, &column) => given.push(column),
                _ => return Err(moves(&column)),
            }
        }
        let is_given = |column: &str| given.iter().any(|given| given == column);
        let is_mixed = table.levels().any(|level| {
            let count = level.columns.iter().filter(|column| is_given(column)).count();
            count > 0 && count < level.columns.len()
        });
        match given.first() {
            Some(column) if is_mixed && !info.as_deref().is_some_and(|info| all_hold(info, &keys)) => {
                Err(moves(column))
            }
            _ => Ok(()),
        }
    }

    /// Whether an expression is the column of the target: with an alias for the new row the name may be that one's.
    fn is_itself(&self, insert: &Insert, expr: &Expr, column: &str, block: BlockId) -> bool {
        if insert.insert_alias.is_some() {
            return false;
        }
        match bare(expr) {
            Expr::Identifier(name) => name.value.eq_ignore_ascii_case(column),
            Expr::CompoundIdentifier(parts) => parts.split_last().is_some_and(|(name, qualifier)| {
                name.value.eq_ignore_ascii_case(column)
                    && self.qualified(qualifier, block) == self.shape.blocks[block].refs.first().copied()
            }),
            _ => false,
        }
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
    let expr = bare(expr);
    is_values(expr) && matches!(argument(expr), Some(Expr::Identifier(name)) if name.value.eq_ignore_ascii_case(column))
}

/// The x of `LAST_INSERT_ID(x)`.
fn set_by(expr: &Expr) -> Option<&Expr> {
    let expr = bare(expr);
    let Expr::Function(function) = expr else { return None };
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    argument(expr).filter(|_| name.value.eq_ignore_ascii_case("last_insert_id"))
}

/// The only argument of a function.
fn argument(expr: &Expr) -> Option<&Expr> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_slice() else { return None };
    Some(argument)
}

/// Whether every unique key holds these columns, so that rows that collide agree in them.
fn all_hold<T: AsRef<str>>(info: &TableInfo, columns: &[T]) -> bool {
    let has = |key: &[String], name: &str| key.iter().any(|column| column.eq_ignore_ascii_case(name));
    let holds = |key: &[String]| columns.iter().all(|column| has(key, column.as_ref()));
    (info.primary_key.is_empty() || holds(&info.primary_key))
        && info.unique_keys.iter().all(|key| key.is_whole && holds(&key.columns))
}

fn moves(column: &str) -> PlanError {
    PlanError::not_supported(
        format!("changing the sharding key '{column}' in ON DUPLICATE KEY UPDATE"),
        "leave the key as it is, or delete the row and insert it anew",
    )
}

/// LAST_INSERT_ID(x) in an INSERT into a sharded table: what must hold so that it comes to what one server makes of it.
#[derive(Debug, Clone)]
pub(crate) struct Setter {
    /// Why it may not stand beside a key that the proxy makes.
    with_generated: Option<&'static str>,
    /// A sharding key with a sign gets its own value from a function that has none: one below zero is an error then, and
    /// where it is none it would become another value.
    strict_only: bool,
    /// It is INSERT IGNORE.
    ignores: bool,
}

impl Setter {
    /// `generated`: the column that is generated, and whether it is part of the sharding key.
    pub(super) fn of(
        insert: &Insert,
        keys: &[Arc<str>],
        generated: Option<(&str, bool)>,
        info: Option<&TableInfo>,
        ignores: bool,
    ) -> Self {
        let column = |name: &str| info.and_then(|info| info.column(name)).map(|(_, column)| column);
        let assignments = match &insert.on {
            Some(OnInsert::DuplicateKeyUpdate(assignments)) => assignments.as_slice(),
            _ => &[],
        };
        let set: Vec<String> = assignments.iter().filter(|one| set_by(&one.value).is_some()).map(target).collect();
        let has_sign = |name: &String| column(name).is_none_or(|column| !column.is_unsigned());
        let sets_key = |name: &&String| keys.iter().any(|key| key.eq_ignore_ascii_case(name));
        let with_generated = generated.and_then(|(name, is_key)| {
            let is_numbered = column(name).is_some_and(|column| column.auto_increment);
            let is_own = |one: &Assignment| {
                target(one).eq_ignore_ascii_case(name)
                    && set_by(&one.value).is_some_and(|own| last_name(own).eq_ignore_ascii_case(name))
            };
            let only_own = assignments.iter().all(|one| is_own(one) || !sets(&one.value));
            match info {
                _ if insert.returning.is_some() => Some("in a statement with RETURNING"),
                _ if sets_elsewhere(insert) => Some("outside of ON DUPLICATE KEY UPDATE"),
                None => Some("in a table whose columns are not known"),
                // the row that is there may be on another shard than the new key leads to
                Some(info) if is_key && !all_hold(info, &[name]) => {
                    Some("where a unique key is without the sharding key, which is generated,")
                }
                Some(info) if !is_numbered && (info.auto_increment().is_some() || !only_own) => {
                    Some("of anything but the generated column")
                }
                Some(_) => None,
            }
        });
        Self { with_generated, strict_only: set.iter().filter(sets_key).any(has_sign), ignores }
    }

    /// Whether it may run.
    pub(super) fn check(&self, rows: usize, is_generated: bool, session: &dyn SessionValues) -> Result<(), PlanError> {
        let refused = |what: &str, instead: &'static str| {
            Err(PlanError::not_supported(format!("LAST_INSERT_ID(x) {what}"), instead))
        };
        match self.with_generated {
            _ if is_generated && rows > 1 => {
                refused("beside several rows with generated keys", "insert them one by one")
            }
            Some(why) if is_generated => refused(why, "give the key, or read the row first"),
            _ if self.strict_only && (self.ignores || !session.is_strict()) => refused(
                "as a sharding key that may be below zero",
                "use a strict sql_mode without IGNORE, or leave the key as it is",
            ),
            _ => Ok(()),
        }
    }
}

/// The name of the column that is assigned, in small letters.
fn target(assignment: &Assignment) -> String {
    match &assignment.target {
        AssignmentTarget::ColumnName(name) => {
            let last = name.0.last().and_then(ObjectNamePart::as_ident);
            last.map_or_else(String::new, |name| name.value.to_lowercase())
        }
        AssignmentTarget::Tuple(_) => String::new(),
    }
}

/// The name of a column without its qualifier.
fn last_name(expr: &Expr) -> &str {
    match bare(expr) {
        Expr::Identifier(name) => &name.value,
        Expr::CompoundIdentifier(parts) => parts.last().map_or("", |name| &name.value),
        _ => "",
    }
}

/// Whether `LAST_INSERT_ID(x)` is in it.
fn sets<V: Visit>(part: &V) -> bool {
    visit_expressions(
        part,
        |expr| if set_by(expr).is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) },
    )
    .is_break()
}

/// Whether `LAST_INSERT_ID(x)` is in the values.
fn sets_elsewhere(insert: &Insert) -> bool {
    insert.source.as_ref().is_some_and(sets) || insert.assignments.iter().any(|assignment| sets(&assignment.value))
}
