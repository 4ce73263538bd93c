//! `interval`: one target per span of time.

mod pattern;
mod step;

use std::ops::Bound;

pub use step::IntervalUnit;

use self::pattern::Pattern;
use super::{Algorithm, RouteError, ShardSet, Targets, only, wrong};
use crate::route::key::{DateTimeKey, KeyValue};

const NAME: &str = "interval";

/// The most spans from `lower` to `upper`: a century of days. A bound on memory and on the time to load the rules.
pub const MAX_SPANS: usize = 40_000;

/// Dates and times, in spans of `amount` × `unit` from `lower` on, as ShardingSphere's `INTERVAL`: the begin of a span,
/// written by `suffix_pattern`, is what the name of its target ends with. Texts of the form
/// `2024-01-31 10:00:00` count as dates. Keys before `lower` or after the last span are refused.
///
/// - `=` and `IN`: one target for each key.
/// - Ranges: the targets of the spans between the bounds.
#[derive(Debug)]
pub struct Interval {
    /// Begin of each span, ascending, and its target; `None` where no target has that suffix.
    spans: Vec<(DateTimeKey, Option<usize>)>,
    /// Where the last span ends.
    end: DateTimeKey,
    targets: usize,
    settings: String,
}

impl Interval {
    /// Spans from `lower`, the last one begins at or before `upper`; without `upper`, when all targets have been met.
    pub fn new(
        targets: &Targets,
        lower: DateTimeKey,
        upper: Option<DateTimeKey>,
        suffix_pattern: &str,
        amount: u32,
        unit: IntervalUnit,
    ) -> Result<Self, String> {
        let pattern = Pattern::parse(suffix_pattern)?;
        let names = targets.names().ok_or("the shards differ in no single part of their names")?;
        let mut seen = ShardSet::none(targets.len());
        let mut spans = Vec::new();
        let mut begin = lower;
        while upper.map_or(!seen.is_all(), |upper| begin <= upper) {
            if spans.len() == MAX_SPANS {
                return Err(match upper {
                    Some(_) => format!("more than {MAX_SPANS} spans between lower and upper"),
                    None => missing(&names, &seen),
                });
            }
            let suffix = pattern.format(begin);
            let target = names.iter().position(|name| name.ends_with(&suffix));
            if let Some(target) = target {
                seen.insert(target);
            }
            spans.push((begin, target));
            begin = step::after(begin, amount, unit).ok_or_else(|| missing(&names, &seen))?;
        }
        if !seen.is_all() {
            return Err(missing(&names, &seen));
        }
        let settings = format!("from {lower} by {amount} {} as {suffix_pattern} to {begin}", unit.name());
        Ok(Self { spans, end: begin, targets: targets.len(), settings })
    }

    /// The span that holds a moment.
    fn span(&self, moment: DateTimeKey) -> Option<usize> {
        if moment >= self.end {
            return None;
        }
        self.spans.partition_point(|(begin, _)| *begin <= moment).checked_sub(1)
    }
}

fn missing(names: &[std::sync::Arc<str>], seen: &ShardSet) -> String {
    let unseen: Vec<&str> = names.iter().enumerate().filter(|(i, _)| !seen.contains(*i)).map(|(_, n)| &**n).collect();
    format!("no span of time leads to {}", unseen.join(", "))
}

fn moment_of(key: &KeyValue) -> Option<DateTimeKey> {
    match key {
        KeyValue::Text(text) => DateTimeKey::parse(text),
        other => other.as_date_time(),
    }
}

impl Algorithm for Interval {
    fn name(&self) -> &'static str {
        NAME
    }

    fn targets(&self) -> usize {
        self.targets
    }

    fn exact(&self, key: &[KeyValue]) -> Result<usize, RouteError> {
        let key = only(NAME, key)?;
        let moment = moment_of(key).ok_or_else(|| wrong(NAME, "a date", key))?;
        let span = self.span(moment).and_then(|span| self.spans.get(span));
        span.and_then(|(_, target)| *target).ok_or_else(|| RouteError::NoTarget { key: key.to_string() })
    }

    fn range(&self, low: Bound<&KeyValue>, high: Bound<&KeyValue>) -> ShardSet {
        // Texts are ordered by their collation, which need not be the order of time.
        let moment = |bound: Bound<&KeyValue>| match bound {
            Bound::Unbounded => Some(None),
            Bound::Included(key) | Bound::Excluded(key) => key.as_date_time().map(Some),
        };
        let (Some(low), Some(high_moment)) = (moment(low), moment(high)) else {
            return ShardSet::all(self.targets);
        };
        let mut reached = ShardSet::none(self.targets);
        let first = match low {
            Some(low) if low >= self.end => return reached,
            Some(low) => self.span(low).unwrap_or(0),
            None => 0,
        };
        for (begin, target) in self.spans.iter().skip(first) {
            let beyond = match (high_moment, high) {
                (Some(end), Bound::Excluded(_)) => *begin >= end,
                (Some(end), _) => *begin > end,
                (None, _) => false,
            };
            if beyond {
                break;
            }
            target.iter().for_each(|target| reached.insert(*target));
        }
        reached
    }

    fn describe(&self) -> String {
        format!("interval {}", self.settings)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{date, exact, int, moment, reach, tables, text};
    use super::*;

    fn months() -> Interval {
        let targets = tables(&["t_202401", "t_202402", "t_202403"]);
        let lower = DateTimeKey::parse("2024-01-01").unwrap();
        Interval::new(&targets, lower, None, "yyyyMM", 1, IntervalUnit::Months).unwrap()
    }

    #[test]
    fn golden() {
        let by = months();
        assert_eq!(exact(&by, date(2024, 1, 1)), Ok(0));
        assert_eq!(exact(&by, moment(2024, 2, 29, 23, 59, 59)), Ok(1));
        assert_eq!(exact(&by, moment(2024, 3, 31, 23, 59, 59)), Ok(2));
        assert_eq!(exact(&by, text("2024-03-01 00:00:00")), Ok(2));
        for outside in [date(2023, 12, 31), date(2024, 4, 1), date(0, 0, 0)] {
            assert!(matches!(exact(&by, outside), Err(RouteError::NoTarget { .. })));
        }
        assert!(matches!(exact(&by, int(20_240_101)), Err(RouteError::WrongKind { .. })));
        assert!(matches!(exact(&by, text("soon")), Err(RouteError::WrongKind { .. })));
    }

    #[test]
    fn ranges_reach_what_lies_between() {
        let by = months();
        assert_eq!(reach(&by, Bound::Included(date(2024, 1, 15)), Bound::Excluded(date(2024, 2, 1))), [0]);
        assert_eq!(reach(&by, Bound::Included(date(2024, 1, 15)), Bound::Included(date(2024, 2, 1))), [0, 1]);
        assert_eq!(reach(&by, Bound::Unbounded, Bound::Excluded(date(2024, 1, 1))), [0_usize; 0]);
        assert_eq!(reach(&by, Bound::Excluded(date(2024, 2, 1)), Bound::Unbounded), [1, 2]);
        assert_eq!(reach(&by, Bound::Included(date(2025, 1, 1)), Bound::Unbounded), [0_usize; 0]);
        assert_eq!(reach(&by, Bound::Included(text("2024-02-01")), Bound::Unbounded), [0, 1, 2]);
    }

    #[test]
    fn targets_may_come_again() {
        let targets = tables(&["t_1", "t_2", "t_3", "t_4"]);
        let (lower, upper) = (DateTimeKey::parse("2024-01-01"), DateTimeKey::parse("2025-12-31"));
        let by = Interval::new(&targets, lower.unwrap(), upper, "'t_'q", 3, IntervalUnit::Months).unwrap();
        assert_eq!(exact(&by, date(2024, 5, 1)), Ok(1));
        assert_eq!(exact(&by, date(2025, 5, 1)), Ok(1));
        assert_eq!(reach(&by, Bound::Included(date(2024, 11, 1)), Bound::Included(date(2025, 1, 1))), [0, 3]);
    }

    #[test]
    fn bad_settings_are_refused() {
        let lower = DateTimeKey::parse("2024-01-01").unwrap();
        let targets = tables(&["t_202401", "t_x"]);
        let refused =
            |upper, pattern| Interval::new(&targets, lower, upper, pattern, 1, IntervalUnit::Months).unwrap_err();
        assert!(refused(None, "yyyyMM").contains("t_x"));
        assert!(refused(DateTimeKey::parse("2024-06-01"), "yyyyMM").contains("t_x"));
        assert!(refused(None, "bb").contains('b'));
        let seconds =
            Interval::new(&targets, lower, DateTimeKey::parse("2026-01-01"), "yyyy", 1, IntervalUnit::Seconds);
        assert!(seconds.unwrap_err().contains("spans"));
    }
}
