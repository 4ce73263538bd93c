//! DELETE.

use sqlparser::ast::{Delete, FromTable, Ident, ObjectName, ObjectNamePart};

use super::Plan;
use super::compose::Said;
use super::error::PlanError;
use super::keys::Keys;
use super::query::Subject;
use super::shape::{BlockId, Builder, Position, RefId};
use super::types::StatementKind;
use super::update::Change;
use crate::sql::Parsed;

/// Plans a DELETE.
pub(crate) fn plan(subject: &Subject<'_>, parsed: &Parsed, delete: &Delete) -> Result<Plan, PlanError> {
    if delete.output.is_some() {
        return Err(PlanError::not_supported("this form of DELETE", "write it as MySQL does"));
    }
    let mut builder = subject.builder();
    builder.note(&parsed.notes);
    let block = builder.block(None);
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    // DELETE FROM a, b USING …: what stands behind FROM are names of tables of USING
    let (tables, named): (&[_], Vec<&ObjectName>) = match &delete.using {
        Some(using) => (using, from.iter().filter_map(name_of).collect()),
        None => (from, delete.tables.iter().collect()),
    };
    let several = delete.using.is_some() || !delete.tables.is_empty();
    let mut refs = Vec::new();
    for item in tables {
        refs.extend(builder.table_with_joins(item, block)?);
    }
    let mut targets = Vec::new();
    for name in &named {
        targets.push(builder.delete_target(name, block));
    }
    if delete.using.is_some() {
        builder.relations += from.len();
    }
    if let Some(condition) = &delete.selection {
        builder.where_clause(condition, block)?;
    }
    for key in &delete.order_by {
        builder.walk(&key.expr, block, Position::Inline)?;
    }
    if let Some(limit) = &delete.limit {
        builder.walk(limit, block, Position::Inline)?;
    }
    builder.returning(delete.returning.as_deref(), block)?;
    subject.check_complete(&parsed.statement, &builder)?;
    super::system::refuse_mixed(&builder)?;
    let keys = Keys::of(&builder.shape, subject.context, &subject.hints);
    // `DELETE FROM t AS a` is not valid on every server; with several tables aliases are
    let renamed = if several { None } else { refs.first().and_then(|id| keys.unit_of(*id)) };
    if !several {
        targets = refs.iter().map(|id| Some(*id)).collect();
    }
    super::forms::check_target_unread(&builder.shape, block, &targets)?;
    let mut change = Change {
        subject,
        builder,
        keys,
        block,
        refs,
        kind: StatementKind::Delete,
        is_ordered: !delete.order_by.is_empty(),
        is_limited: delete.limit.is_some(),
    };
    let said = Said {
        targets: &targets,
        columns: &[],
        assignments: &[],
        ignore: parsed.notes.ignore,
        using: delete.using.is_some(),
    };
    // of several tables no server takes these
    let is_cut = several && (change.is_ordered || change.is_limited);
    let compose = if is_cut || delete.returning.is_some() { None } else { change.compose(&said) };
    change.plan(&targets, Vec::new(), renamed, compose)
}

fn name_of(item: &sqlparser::ast::TableWithJoins) -> Option<&ObjectName> {
    match &item.relation {
        sqlparser::ast::TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

impl Builder<'_> {
    /// A name in the list of a DELETE from several tables: like a qualifier, it names a table by its alias.
    fn delete_target(&mut self, name: &ObjectName, block: BlockId) -> Option<RefId> {
        let parts: Vec<Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).cloned().collect();
        self.qualifier(&parts, block);
        self.qualified(&parts, block)
    }
}
