//! LIMIT: the shards send the first count + offset rows, the merge cuts.

use sqlparser::ast::{Expr, LimitClause, Query};

use super::refused;
use crate::plan::action::Limit;
use crate::plan::error::PlanError;
use crate::plan::outline::Clauses;
use crate::plan::shape::Builder;
use crate::plan::template::{Slot, TemplateBuilder};
use crate::route::source::Source;

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
