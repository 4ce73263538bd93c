//! Forms of writes that one vendor's servers take and the other's do not, where a shard is not sent the statement as it is
//! and so cannot say.

use super::error::PlanError;
use super::place::Place;
use super::query::Subject;
use super::shape::{Block, BlockId, RefId, RefKind, Shape};
use crate::catalog::TableInfo;
use crate::sql::ParseError;
use sqlparser::ast::Values;

use crate::sql::spans;

/// MySQL does not order or cut an UPDATE of several tables.
pub(super) fn check_order(shape: &Shape, refs: &[RefId], is_ordered: bool, is_limited: bool) -> Result<(), PlanError> {
    let clause = match (is_ordered, is_limited) {
        (true, _) => "ORDER BY",
        (_, true) => "LIMIT",
        _ => return Ok(()),
    };
    match refs.len() > 1 && refs.iter().any(|id| is_on_mysql(shape, *id)) {
        true => Err(PlanError::WrongUsage(format!("UPDATE and {clause}"))),
        false => Ok(()),
    }
}

/// MySQL changes no table that a subquery of the statement reads, unless that is in a table of its own first.
pub(super) fn check_target_unread(shape: &Shape, main: BlockId, targets: &[Option<RefId>]) -> Result<(), PlanError> {
    let place_of = |id: RefId| match &shape.refs[id].kind {
        RefKind::Table { place, .. } => Some(place),
        _ => None,
    };
    let is_same = |one: &Place, other: &Place| one.schema() == other.schema() && one.table() == other.table();
    for target in targets.iter().flatten().copied().filter(|id| is_on_mysql(shape, *id)) {
        let Some(place) = place_of(target) else { continue };
        let reads = |id: &RefId| place_of(*id).is_some_and(|read| is_same(read, place));
        let mut others = (0..shape.refs.len()).filter(|id| shape.refs[*id].block != main);
        if others.any(|id| reads(&id) && is_read_directly(shape, main, shape.refs[id].block)) {
            return Err(PlanError::TargetRead(shape.refs[target].visible_name().to_owned()));
        }
    }
    Ok(())
}

/// Whether the copies of a broadcast table might come to different rows if each server ran the statement's queries for
/// itself: without an order that is sure, each takes the rows in its own. What can be read once is.
pub(super) fn may_differ(shape: &Shape, main: BlockId, can_read_once: bool) -> bool {
    let inner = || shape.blocks.iter().enumerate().filter(|(id, _)| *id != main).map(|(_, block)| block);
    let chooses = |block: &Block| block.limited || block.windowed;
    if can_read_once { inner().next().is_some() } else { inner().any(chooses) }
}

/// The refusal of that.
pub(super) fn each_for_itself() -> PlanError {
    PlanError::not_supported(
        "a change of a broadcast table by queries that each server may answer in its own way",
        "read the rows first, and write their values",
    )
}

/// Whether a block is in the main one without a query in FROM around it.
fn is_read_directly(shape: &Shape, main: BlockId, block: BlockId) -> bool {
    let mut at = block;
    loop {
        if at == main {
            return true;
        }
        let is_derived = shape.refs.iter().any(|table| matches!(table.kind, RefKind::Derived(query) if query == at));
        match shape.blocks[at].parent {
            Some((parent, _)) if !is_derived => at = parent,
            _ => return false,
        }
    }
}

fn is_on_mysql(shape: &Shape, id: RefId) -> bool {
    matches!(&shape.refs[id].kind, RefKind::Table { info: Some(info), .. } if info.on_mysql)
}

/// `VALUES ROW(…)`, which MariaDB does not know, and no server takes for some of the rows.
pub(super) fn check_rows(
    subject: &Subject<'_>,
    values: Option<&Values>,
    info: Option<&TableInfo>,
) -> Result<(), PlanError> {
    let Some(values) = values else { return Ok(()) };
    let is_known = !values.explicit_row || info.is_none_or(|info| info.on_mysql);
    for row in &values.rows {
        let range = spans::range_of(row.opening_token.0.span).ok_or_else(PlanError::lost_place)?;
        let before = subject.outline.index_at(range.start).checked_sub(1).ok_or_else(PlanError::lost_place)?;
        let says_row = subject.outline.is_keyword(subject.sql, before, &["ROW"]);
        if says_row != values.explicit_row || !is_known {
            let near = subject.outline.tokens().get(before).map_or(range.start, |token| token.start);
            return Err(PlanError::Parse(ParseError::Syntax {
                message: "rows of VALUES".to_owned(),
                near: String::from_utf8_lossy(subject.sql.get(near..).unwrap_or_default()).into_owned(),
                line: 1,
            }));
        }
    }
    Ok(())
}
