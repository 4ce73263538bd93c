//! A plan in words: for EXPLAIN ROUTE and `shardloom route`.

use std::fmt::Write as _;

use super::action::Action;
use super::types::{Bound, ParamSource, Params, ScratchBound, SessionValues};
use super::{Plan, PlanError};
use crate::id::Key;
use crate::merge::{AggregateFunction, MergeSpec, SortKey};
use crate::route::key::RawValue;
use crate::sql::Literal;

impl Plan {
    /// What would be sent where, and what is done with the answers: a line for the plan, two for each shard, one for
    /// each step of the merge. Generated keys are shown as 1, 2, …, parameters that are not given as what they may be.
    pub fn describe(
        &self,
        sql: &[u8],
        literals: &[Literal],
        params: &[RawValue<'_>],
        session: &dyn SessionValues,
    ) -> Result<String, PlanError> {
        if let Action::Expanded(expanded) = &self.action {
            let (text, own) = expanded.text(sql, literals);
            return expanded.plan().describe(&text, &own, params, session);
        }
        let numbers = |count: u32| (1..=u64::from(count)).map(Key::Int).collect();
        let bound = self.bind_with(sql, literals, params, session, &|_, count, _| Ok(numbers(count)));
        match (bound, &self.compose) {
            (Err(PlanError::NotSupported { .. } | PlanError::UnknownKey(_)), Some(compose)) => {
                Ok(compose.describe(sql, literals))
            }
            (bound, _) => Ok(self.text(sql, &bound?)),
        }
    }

    /// What is read into each temporary table, and what runs over them.
    fn scratch_text(&self, sql: &[u8], scratch: &ScratchBound, text: &mut String) {
        let places: Vec<&str> = scratch.places.iter().map(|place| &*place.label).collect();
        let places = places.join(" or ");
        if let Some(combine) = &scratch.combine {
            let _ = writeln!(text, "combine: {} ({}), for {}", self.kind, self.access, scratch.reason);
            let _ = writeln!(text, "{}:", combine.parts);
            for shard in &combine.shards {
                let _ = writeln!(text, "  {}: {}", shard.node, String::from_utf8_lossy(shard.sql.bytes(sql)));
            }
            let _ = writeln!(text, "{places}: {}", String::from_utf8_lossy(&combine.whole));
            let _ = write!(text, "{places}: {}", String::from_utf8_lossy(&combine.sql));
            return;
        }
        let _ = writeln!(text, "scratch: {} ({}), for {}", self.kind, self.access, scratch.reason);
        for read in &scratch.reads {
            let _ = writeln!(text, "{} as {}:", read.table.name, read.visible);
            for shard in &read.shards {
                let statement = String::from_utf8_lossy(shard.sql.bytes(sql));
                let _ = writeln!(text, "  {}: {statement}{}", shard.node, read.lock);
            }
            for link in &read.links {
                let Some(other) = scratch.reads.get(link.other) else { continue };
                let _ = writeln!(
                    text,
                    "  if {} is read before and small: where {} is in its {}",
                    other.visible, link.column, link.other_column
                );
            }
        }
        let _ = write!(text, "{places}: {}", String::from_utf8_lossy(scratch.sql.bytes(sql)));
    }

    /// The lines for what was bound.
    pub fn text(&self, sql: &[u8], bound: &Bound) -> String {
        let mut text = String::new();
        if let Some(scratch) = &bound.scratch {
            self.scratch_text(sql, scratch, &mut text);
            return text;
        }
        let count = bound.shards.len();
        let how = if count == 1 { "relay".to_owned() } else { format!("scatter over {count} shards") };
        let _ = writeln!(text, "{how}: {} ({})", self.kind, self.access);
        for shard in &bound.shards {
            let statement = String::from_utf8_lossy(shard.sql.bytes(sql)).into_owned();
            let _ = writeln!(text, "{}: {statement}", shard.node);
            if let Params::List(params) = &shard.params {
                let _ = writeln!(text, "  parameters: {}", params.iter().map(param).collect::<Vec<_>>().join(", "));
            }
        }
        if let Some(merge) = &bound.merge {
            steps(merge, &mut text);
        } else if count > 1 && bound.same_rows {
            text.push_str("affected rows: of one shard\n");
        } else if count > 1 {
            text.push_str("affected rows: sum\n");
        }
        text.truncate(text.trim_end().len());
        text
    }
}

fn param(source: &ParamSource) -> String {
    match source {
        ParamSource::Param(number) => format!("?{}", number + 1),
        ParamSource::Const(value) => value.to_string(),
    }
}

fn steps(merge: &MergeSpec, text: &mut String) {
    let mut step = |line: String| {
        let _ = writeln!(text, "merge: {line}");
    };
    let keys = |keys: &[SortKey]| keys.iter().map(key).collect::<Vec<_>>().join(", ");
    match (merge.order.is_empty(), merge.group.is_empty() && merge.aggregates.is_empty(), merge.distinct) {
        (true, true, _) => step("concatenate".to_owned()),
        (true, false, _) => {}
        (false, _, true) => step(format!("sort and make distinct by {}", keys(&merge.order))),
        (false, _, false) => step(format!("sort by {}", keys(&merge.order))),
    }
    if !merge.aggregates.is_empty() || !merge.group.is_empty() {
        let functions: Vec<String> =
            merge.aggregates.iter().map(|aggregate| aggregated(aggregate.column, &aggregate.function)).collect();
        let of =
            if merge.group.is_empty() { "one row".to_owned() } else { format!("a row per {}", keys(&merge.group)) };
        let functions = if functions.is_empty() { String::new() } else { format!(": {}", functions.join(", ")) };
        step(format!("{of}{functions}"));
    }
    if let Some(limit) = merge.limit {
        step(format!("limit {limit} offset {}", merge.offset));
    }
    match merge.hidden_columns {
        0 => {}
        1 => step("drop the last column".to_owned()),
        hidden => step(format!("drop the last {hidden} columns")),
    }
}

/// A column counted from 1, as in ORDER BY.
fn key(key: &SortKey) -> String {
    let direction = if key.descending { " desc" } else { "" };
    match &key.weight {
        Some(weight) if weight.column != key.column => {
            format!("column {}{direction} (compared by column {})", key.column + 1, weight.column + 1)
        }
        _ => format!("column {}{direction}", key.column + 1),
    }
}

fn aggregated(column: usize, function: &AggregateFunction) -> String {
    let column = column + 1;
    match function {
        AggregateFunction::Count => format!("column {column} = sum of counts"),
        AggregateFunction::Sum => format!("column {column} = sum"),
        AggregateFunction::Min { .. } => format!("column {column} = least"),
        AggregateFunction::Max { .. } => format!("column {column} = greatest"),
        AggregateFunction::Avg { sum_column, count_column } => {
            format!("column {column} = sum {} / count {}", sum_column + 1, count_column + 1)
        }
        AggregateFunction::CountDistinct { key } => {
            format!("column {column} = how many different in column {}", key.compared_column() + 1)
        }
        AggregateFunction::BitAnd => format!("column {column} = and of bits"),
        AggregateFunction::BitOr => format!("column {column} = or of bits"),
        AggregateFunction::BitXor => format!("column {column} = xor of bits"),
    }
}
