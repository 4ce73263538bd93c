//! UPDATE.

use sqlparser::ast::{Assignment, AssignmentTarget, Expr, Ident, ObjectName, ObjectNamePart, Update};

use super::Plan;
use super::action::{Action, Everywhere, KeyAssignment, Routed, Scatter};
use super::error::PlanError;
use super::keys::{Colocated, Keys, colocate};
use super::names::base;
use super::query::{Subject, name_map};
use super::shape::{BlockId, Builder, Met, Position, RefId};
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
    let cut = !update.order_by.is_empty() || update.limit.is_some();
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
    let keys = Keys::of(&builder.shape, subject.context, &subject.hints);
    let mut change = Change { subject, builder, keys, block, refs, kind: StatementKind::Update, cut };
    let unchanged_keys = change.key_assignments(&assigned, &update.assignments)?;
    let targets = assigned.iter().map(|(table, _)| *table).collect();
    change.plan(targets, unchanged_keys, None)
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
    /// It has ORDER BY or LIMIT.
    pub cut: bool,
}

impl Change<'_, '_> {
    /// The plan. `targets` are the references that are changed (`None` where that is not known); `renamed`
    /// is the unit that may have no alias.
    pub fn plan(
        &mut self,
        targets: Vec<Option<RefId>>,
        unchanged_keys: Vec<KeyAssignment>,
        renamed: Option<usize>,
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
        let action = if changes_broadcast { self.everywhere(template)? } else { self.routed(template, unchanged_keys) };
        let met = &self.builder.shape.met;
        Ok(self.subject.plan(self.kind, met, &self.keys, action))
    }

    /// A broadcast table changes on all its nodes alike.
    fn everywhere(&self, template: Template) -> Result<Action, PlanError> {
        let one_table = self.refs.len() == 1;
        if !one_table || self.keys.units.iter().any(|unit| unit.place.broadcast().is_none()) {
            return Err(PlanError::not_supported(
                "a change of a broadcast table that depends on other tables",
                "use broadcast tables only, one of which is changed",
            ));
        }
        same_everywhere(&self.builder.shape.met)?;
        if self.cut {
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
        if self.refs.len() > 1 {
            return Err(self.refused("several tables"));
        }
        if colocated.members.len() > 1 {
            return Err(self.refused("subqueries on sharded tables"));
        }
        if self.cut {
            return Err(self.refused("ORDER BY or LIMIT"));
        }
        if met.assigns_variable {
            return Err(self.refused("assignments to user variables"));
        }
        if let Some(name) = met.effect.as_ref().or(met.unknown_function.as_ref()) {
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

/// What is done on each server must come out the same.
pub(crate) fn same_everywhere(met: &Met) -> Result<(), PlanError> {
    let refused = |what: &str| {
        Err(PlanError::not_supported(
            format!("{what} in a change of a broadcast table"),
            "since each server may come to another value: compute it first",
        ))
    };
    if let Some(name) = met.random.as_ref().or(met.effect.as_ref()).or(met.unknown_function.as_ref()) {
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
