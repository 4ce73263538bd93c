//! `key IN (…)` over several shards: each is sent the constants whose rows it can have.
//!
//! Rows of a table on one node have only keys that lead there, so a constant that leads elsewhere is equal to none of
//! them. Leaving it out changes no row's `IN` and no row's `NOT IN`, wherever in a condition these stand. Two things
//! must stay as they are: NULL, and that there is a member at all, for a column that is NULL.

use super::anchor::Span;
use super::keys::Keys;
use super::shape::Shape;
use super::template::{Slot, TemplateBuilder};
use super::types::ParamSource;
use super::unit::Unit;
use crate::route::key::RawValue;
use crate::route::source::Source;
use crate::route::values::Values;
use crate::sql::Literal;

/// The most that constants times nodes may be: past it, the time to place them is better spent by the shards.
const MAX_CHECKS: usize = 1 << 18;

/// A list whose members are written for each shard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SplitList {
    /// The table whose key is compared.
    unit: usize,
    /// The column of the key.
    column: usize,
    /// What each member is, and where it is written.
    members: Box<[(Source, Span)]>,
    /// The list has parameters: it keeps its length, so that the shards' prepared statements stay the same.
    has_params: bool,
}

impl SplitList {
    /// Whether some of its members are parameters.
    pub fn has_params(&self) -> bool {
        self.has_params
    }

    /// Writes the members for a node of the table.
    pub fn write(
        &self,
        units: &[Unit],
        nodes: &[usize],
        values: &Values<'_>,
        out: &mut Vec<u8>,
        params: &mut Vec<ParamSource>,
    ) {
        let kept = self.kept(units, nodes, values);
        let is_kept = |index: usize| kept.as_ref().and_then(|kept| kept.get(index)).is_none_or(|kept| *kept);
        let stand_in = self.members.iter().enumerate().find_map(|(index, (source, _))| match source {
            Source::Param(number) if is_kept(index) => Some(*number),
            _ => None,
        });
        let mut written = 0;
        for (index, (source, span)) in self.members.iter().enumerate() {
            let param = match (source, is_kept(index), self.has_params) {
                (Source::Param(number), true, _) => Some(*number),
                // one that is there already stands in for it
                (Source::Param(number), false, _) => Some(stand_in.unwrap_or(*number)),
                (_, false, false) => continue,
                _ => None,
            };
            if written > 0 {
                out.extend_from_slice(b", ");
            }
            written += 1;
            match param {
                Some(number) => {
                    out.push(b'?');
                    params.push(ParamSource::Param(number));
                }
                None => out.extend_from_slice(values.sql.get(span.range(values.literals)).unwrap_or_default()),
            }
        }
    }

    /// Which members a node needs; `None` for all. At least one.
    fn kept(&self, units: &[Unit], nodes: &[usize], values: &Values<'_>) -> Option<Vec<bool>> {
        let (unit, node) = (units.get(self.unit)?, *nodes.get(self.unit)?);
        let keyed = unit.keyed.as_ref()?;
        if self.members.len().saturating_mul(unit.place.nodes().len()) > MAX_CHECKS || !self.is_uniform(values) {
            return None;
        }
        let needed = |(source, _): &(Source, Span)| {
            matches!(values.get(source), RawValue::Null) || keyed.may_hold(self.column, source, values, node)
        };
        let kept: Vec<bool> = self.members.iter().map(needed).collect();
        if kept.contains(&true) {
            return Some(kept);
        }
        Some((0..self.members.len()).map(|index| index == 0).collect())
    }

    /// Whether all members are of one kind. How a member of another kind is compared may depend on the whole list.
    fn is_uniform(&self, values: &Values<'_>) -> bool {
        let kind = |(source, _): &(Source, Span)| match values.get(source) {
            RawValue::Null => 0_u8,
            RawValue::Int(_) => 1,
            RawValue::Text(_) => 2,
            _ => 4,
        };
        matches!(self.members.iter().fold(0, |kinds, member| kinds | kind(member)), 1 | 2)
    }
}

/// Makes the lists on sharding keys ones that are written for each shard.
pub(crate) fn split(template: &mut TemplateBuilder, shape: &Shape, keys: &Keys, literals: &[Literal]) {
    for list in &shape.lists {
        let Some(column) = shape.columns.get(list.column) else { continue };
        let Some(unit) = keys.unit_of(column.table) else { continue };
        let Some(keyed) = &keys.units[unit].keyed else { continue };
        let Some(of_key) = keyed.columns.iter().position(|key| **key == *column.name) else { continue };
        let has_params = list.constants.iter().any(|(source, _)| matches!(source, Source::Param(_)));
        let members =
            list.constants.iter().map(|(source, range)| (source.clone(), Span::of(range, literals))).collect();
        let split = SplitList { unit, column: of_key, members, has_params };
        template.slot(list.range.clone(), Slot::List(split));
    }
}
