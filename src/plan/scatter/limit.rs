//! LIMIT: the shards send the first count + offset rows, the merge cuts.

use sqlparser::ast::{Expr, LimitClause, Query, SetExpr};

use super::refused;
use crate::plan::action::Limit;
use crate::plan::error::PlanError;
use crate::plan::outline::Clauses;
use crate::plan::shape::Builder;
use crate::plan::template::{Slot, TemplateBuilder};
use crate::plan::types::Skipped;
use crate::route::source::Source;
use crate::route::values::Values;

/// The rows that the LIMIT of a query leaves out before the first one of its answer.
#[derive(Debug, Clone)]
pub(crate) struct Skip {
    offset: Option<Source>,
    of_set_operation: bool,
}

impl Skip {
    /// Reads it; nothing where FOUND_ROWS() is the number of rows that come.
    pub fn of(builder: &Builder<'_>, query: &Query) -> Option<Self> {
        let of_set_operation = matches!(*query.body, SetExpr::SetOperation { .. });
        let offset = match query.limit_clause.as_ref()? {
            LimitClause::OffsetCommaLimit { offset, .. } => Some(offset),
            LimitClause::LimitOffset { offset, .. } => offset.as_ref().map(|offset| &offset.value),
        };
        let offset = offset.map(|offset| builder.constant(offset));
        (offset.is_some() || of_set_operation).then_some(Self { offset, of_set_operation })
    }

    /// For one execution.
    pub fn bind(&self, values: &Values<'_>) -> Skipped {
        let offset = self.offset.as_ref().and_then(|offset| values.count(offset)).unwrap_or(0);
        Skipped { offset, of_set_operation: self.of_set_operation }
    }
}

/// Reads LIMIT, and makes its numbers in the shards' text ones that are filled in.
pub(super) fn read(
    builder: &Builder<'_>,
    query: &Query,
    clauses: &Clauses,
    on_shards: bool,
    template: &mut TemplateBuilder,
) -> Result<Option<Limit>, PlanError> {
    let Some(clause) = &query.limit_clause else { return Ok(None) };
    let (count, offset) = match clause {
        LimitClause::OffsetCommaLimit { offset, limit } => (Some(limit), Some(offset)),
        LimitClause::LimitOffset { limit, offset, limit_by } if limit_by.is_empty() => {
            (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
        }
        LimitClause::LimitOffset { .. } => return Err(refused("LIMIT BY")),
    };
    let Some(count) = count else { return Err(refused("OFFSET without LIMIT")) };
    let source = |expr: &Expr| builder.constant(expr);
    let limit = Limit { count: source(count), offset: offset.map(source), on_shards };
    let known = |source: &Source| matches!(source, Source::Literal { negative: false, .. } | Source::Param(_));
    if !known(&limit.count) || !limit.offset.as_ref().is_none_or(known) {
        return Err(refused("a LIMIT that is no number"));
    }
    let numbers = clauses.limit_numbers.clone();
    let is_param = |source: &Source| matches!(source, Source::Param(_));
    let (count_at, offset_at) = match (numbers.as_slice(), &limit.offset) {
        ([count], None) => (count.clone(), None),
        ([count, offset], Some(_)) if clauses.limit_offset => (count.clone(), Some(offset.clone())),
        ([offset, count], Some(_)) => (count.clone(), Some(offset.clone())),
        _ => return Err(PlanError::Internal("the numbers of LIMIT were not found")),
    };
    template.slot(count_at, Slot::LimitCount { param: is_param(&limit.count) });
    if let (Some(at), Some(offset)) = (offset_at, &limit.offset) {
        template.slot(at, Slot::LimitOffset { param: is_param(offset) });
    }
    Ok(Some(limit))
}
