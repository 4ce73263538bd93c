//! UPDATE.

use std::sync::Arc;

use sqlparser::ast::{Assignment, AssignmentTarget, Expr, Ident, ObjectName, ObjectNamePart, Update};

use super::Plan;
use super::action::{Action, Everywhere, KeyAssignment, Routed, Scatter};
use super::compose::{ChangeRows, Compose, Said};
use super::error::PlanError;
use super::forms::{check_order, check_target_unread, each_for_itself, may_differ};
use super::keys::{Colocated, Keys, colocate};
use super::names::base;
use super::query::{Subject, name_map};
use super::shape::{BlockId, Builder, Met, Position, RefId, RefKind, bare, is_default_of};
use super::template::Template;
use super::types::StatementKind;
use crate::sql::Parsed;

/// Plans an UPDATE.
pub(crate) fn plan(subject: &Subject<'_>, parsed: &Parsed, update: &Update) -> Result<Plan, PlanError> {
    if update.from.is_some() || update.returning.is_some() || update.output.is_some() {
        return Err(PlanError::not_supported("this form of UPDATE", "write it as MySQL does"));
    }
    let mut builder = subject.builder();
    builder.note(&parsed.notes);
    let block = builder.block(None);
    let refs = builder.table_with_joins(&update.table, block)?;
    if let Some(condition) = &update.selection {
        builder.where_clause(condition, block)?;
    }
    for key in &update.order_by {
        builder.walk(&key.expr, block, Position::Inline)?;
    }
    if let Some(limit) = &update.limit {
        builder.walk(limit, block, Position::Inline)?;
    }
    let mut assigned = Vec::new();
    for assignment in &update.assignments {
        builder.walk(&assignment.value, block, Position::Inline)?;
        assigned.push(builder.assigned(assignment, block)?);
    }
    subject.check_complete(&parsed.statement, &builder)?;
    super::system::refuse_mixed(&builder)?;
    check_order(&builder.shape, &refs, !update.order_by.is_empty(), update.limit.is_some())?;
    let keys = Keys::of(&builder.shape, subject.context, &subject.hints);
    let mut change = Change {
        subject,
        builder,
        keys,
        block,
        refs,
        kind: StatementKind::Update,
        is_ordered: !update.order_by.is_empty(),
        is_limited: update.limit.is_some(),
    };
    let (targets, columns): (Vec<_>, Vec<_>) = assigned.iter().cloned().unzip();
    let said = Said {
        targets: &targets,
        columns: &columns,
        assignments: &update.assignments,
        ignore: parsed.notes.ignore,
        using: false,
    };
    check_target_unread(&change.builder.shape, block, &targets)?;
    let compose = change.compose(&said);
    match change.key_assignments(&assigned, &update.assignments) {
        Ok(unchanged_keys) => change.plan(&targets, unchanged_keys, None, compose),
        Err(refused) => {
            let action = subject.only_composed(refused, compose.as_ref())?;
            Ok(change.finish(action, compose))
        }
    }
}

/// An UPDATE or DELETE that is being planned.
pub(crate) struct Change<'s, 'a> {
    /// The statement.
    pub subject: &'s Subject<'a>,
    /// Its shape.
    pub builder: Builder<'s>,
    /// Its tables.
    pub keys: Keys,
    /// The block of its tables.
    pub block: BlockId,
    /// The references of its own.
    pub refs: Vec<RefId>,
    /// UPDATE or DELETE.
    pub kind: StatementKind,
    /// It has ORDER BY.
    pub is_ordered: bool,
    /// It has LIMIT.
    pub is_limited: bool,
}

impl Change<'_, '_> {
    /// The plan. `targets` are the references that are changed (`None` where that is not known); `renamed`
    /// is the unit that may have no alias.
    pub fn plan(
        &mut self,
        targets: &[Option<RefId>],
        unchanged_keys: Vec<KeyAssignment>,
        renamed: Option<usize>,
        compose: Option<Compose>,
    ) -> Result<Plan, PlanError> {
        let template = base(&self.builder, &self.keys, renamed)?;
        let template = template.build(self.subject.sql.len(), self.subject.literals)?;
        let units = &self.keys.units;
        let is_broadcast =
            |id: &RefId| self.keys.unit_of(*id).is_some_and(|unit| units[unit].place.broadcast().is_some());
        let changes_broadcast = if targets.contains(&None) {
            self.refs.iter().any(is_broadcast)
        } else {
            targets.iter().flatten().any(is_broadcast)
        };
        let action = if changes_broadcast {
            self.everywhere(template, compose.is_some())
                .or_else(|refused| self.subject.only_composed(refused, compose.as_ref()))?
        } else {
            self.routed(template, unchanged_keys)
        };
        Ok(self.finish(action, compose))
    }

    /// The steps in which it can run.
    pub fn compose(&self, said: &Said<'_>) -> Option<Compose> {
        let is_update = self.kind == StatementKind::Update;
        ChangeRows::of(self.subject, &self.builder, &self.keys, &self.refs, is_update, said).map(Compose::Change)
    }

    /// The plan around an action.
    pub fn finish(&self, action: Action, compose: Option<Compose>) -> Plan {
        let mut plan = self.subject.plan(self.kind, &self.builder.shape.met, &self.keys, action);
        plan.compose = compose.map(Arc::new);
        plan
    }

    /// A broadcast table changes on all its nodes alike.
    fn everywhere(&self, template: Template, has_steps: bool) -> Result<Action, PlanError> {
        if may_differ(&self.builder.shape, self.block, has_steps) {
            return Err(each_for_itself());
        }
        let one_table = self.refs.len() == 1;
        if !one_table || self.keys.units.iter().any(|unit| unit.place.broadcast().is_none()) {
            return Err(PlanError::not_supported(
                "a change of a broadcast table that depends on other tables",
                "use broadcast tables only, one of which is changed",
            ));
        }
        same_everywhere(&self.builder.shape.met)?;
        if self.is_ordered || self.is_limited {
            return Err(PlanError::not_supported(
                "ORDER BY or LIMIT in a change of a broadcast table",
                "name the rows by a condition",
            ));
        }
        let names = name_map(&self.keys);
        let units = self.keys.units.clone();
        Ok(Action::Everywhere(vec![Everywhere { units, template, names, same_rows: true }]))
    }

    fn routed(&self, template: Template, unchanged_keys: Vec<KeyAssignment>) -> Action {
        let context = self.subject.context;
        let colocated = colocate(&self.builder.shape, context, &self.keys, self.block).ok();
        let scatter = match &colocated {
            Some(colocated) => self.scatter(colocated, &template),
            None => Err(PlanError::Internal("tables that do not meet are on several shards")),
        };
        Action::Routed(Routed {
            units: self.keys.units.clone(),
            colocated,
            relay: template,
            scatter,
            apart: self.refused("tables that do not meet on the shards"),
            home: self.subject.home(),
            names: name_map(&self.keys),
            unchanged_keys,
        })
    }

    /// On several shards each changes its own rows.
    fn scatter(&self, colocated: &Colocated, template: &Template) -> Result<Scatter, PlanError> {
        let met = &self.builder.shape.met;
        // what meets on the shards is joined there, but a query in FROM may cut its rows in a way of its own
        let derived =
            self.builder.shape.refs.iter().any(|table| matches!(table.kind, RefKind::Derived(_) | RefKind::Cte));
        if colocated.members.len() > 1 && derived {
            return Err(self.refused("a query in FROM"));
        }
        if self.is_limited {
            return Err(self.refused("LIMIT"));
        }
        if met.assigns_variable {
            return Err(self.refused("assignments to user variables"));
        }
        let unknown = met.unknown_function.as_ref().filter(|name| !is_default_of(name));
        if let Some(name) = met.effect.as_ref().or(unknown) {
            return Err(self.refused(&format!("the function {}", name.to_uppercase())));
        }
        if met.lock_function {
            return Err(self.refused("locking functions"));
        }
        if let Some(what) = met.only_one_shard {
            return Err(self.refused(what));
        }
        Ok(Scatter { template: template.clone(), merge: None, limit: None, expected_columns: None })
    }

    fn refused(&self, what: &str) -> PlanError {
        let verb = if self.kind == StatementKind::Update { "UPDATE" } else { "DELETE" };
        PlanError::not_supported(
            format!("{verb} over several shards with {what}"),
            "restrict it to one sharding key by a condition with =",
        )
    }

    /// The assignments to sharding keys.
    fn key_assignments(
        &mut self,
        assigned: &[(Option<RefId>, String)],
        assignments: &[Assignment],
    ) -> Result<Vec<KeyAssignment>, PlanError> {
        let mut found = Vec::new();
        for ((table, column), assignment) in assigned.iter().zip(assignments) {
            for (unit, id) in self.keys.refs.iter().enumerate() {
                let unit_of_statement = &self.keys.units[unit];
                let Some(keyed) = &unit_of_statement.keyed else { continue };
                if !self.refs.contains(id) || table.is_some_and(|table| table != *id) {
                    continue;
                }
                let Some(index) = keyed.columns.iter().position(|key| **key == **column) else { continue };
                if is_itself(&assignment.value, column) && self.refs.len() == 1 {
                    continue;
                }
                let refusal = PlanError::not_supported(
                    format!("changing the sharding key '{column}' of '{}'", unit_of_statement.place.table()),
                    "delete the row and insert it anew",
                );
                let value = self.builder.constant(&assignment.value);
                if !value.is_known() || matches!(assignment.target, AssignmentTarget::Tuple(_)) {
                    return Err(refusal);
                }
                found.push(KeyAssignment { unit, column: index, value, refusal });
            }
        }
        Ok(found)
    }
}

/// `SET a = a`.
fn is_itself(value: &Expr, column: &str) -> bool {
    matches!(bare(value), Expr::Identifier(name) if name.value.eq_ignore_ascii_case(column))
}

/// What is done on each server must come out the same.
pub(crate) fn same_everywhere(met: &Met) -> Result<(), PlanError> {
    let refused = |what: &str| {
        Err(PlanError::not_supported(
            format!("{what} in a change of a broadcast table"),
            "since each server may come to another value: compute it first",
        ))
    };
    let unknown = met.unknown_function.as_ref().filter(|name| !is_default_of(name));
    if let Some(name) = met.random.as_ref().or(met.effect.as_ref()).or(unknown) {
        return refused(&format!("the function {}", name.to_uppercase()));
    }
    if met.assigns_variable {
        return refused("an assignment to a user variable");
    }
    if met.lock_function {
        return refused("a locking function");
    }
    Ok(())
}

impl Builder<'_> {
    /// The column that an assignment sets: its table, if that is certain, and its name in lower case.
    pub fn assigned(&mut self, assignment: &Assignment, block: BlockId) -> Result<(Option<RefId>, String), PlanError> {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(PlanError::not_supported("an assignment to several columns", "assign them one by one"));
        };
        self.column_name(name, block)
    }

    /// A column named by an object name; its qualifier is noted.
    pub fn column_name(&mut self, name: &ObjectName, block: BlockId) -> Result<(Option<RefId>, String), PlanError> {
        let parts: Vec<Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).cloned().collect();
        let Some((column, qualifier)) = parts.split_last() else {
            return Err(PlanError::Internal("a column without a name"));
        };
        let table = if qualifier.is_empty() {
            let expr = Expr::Identifier(column.clone());
            self.resolve_expr(&expr, block).map(|column| self.shape.columns[column].table)
        } else {
            self.qualifier(qualifier, block);
            self.qualified(qualifier, block)
        };
        Ok((table, column.value.to_lowercase()))
    }
}
