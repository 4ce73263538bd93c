//! Short ways to write keys in the tests of the algorithms.

use std::ops::Bound;

use super::{Algorithm, RouteError, Target, Targets};
use crate::route::key::{DateKey, DateTimeKey, KeyValue};

pub(super) fn int(value: i128) -> KeyValue {
    KeyValue::Int(value)
}

pub(super) fn text(text: &str) -> KeyValue {
    KeyValue::Text(text.into())
}

pub(super) fn bytes(bytes: &[u8]) -> KeyValue {
    KeyValue::Bytes(bytes.into())
}

pub(super) fn date(year: u16, month: u8, day: u8) -> KeyValue {
    KeyValue::Date(DateKey { year, month, day })
}

pub(super) fn moment(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> KeyValue {
    KeyValue::DateTime(DateTimeKey { date: DateKey { year, month, day }, hour, minute, second, micros: 0 })
}

pub(super) fn exact(algorithm: &dyn Algorithm, key: KeyValue) -> Result<usize, RouteError> {
    algorithm.exact(&[key])
}

pub(super) fn reach(algorithm: &dyn Algorithm, low: Bound<KeyValue>, high: Bound<KeyValue>) -> Vec<usize> {
    algorithm.range(low.as_ref(), high.as_ref()).iter().collect()
}

/// Targets that are one table in each of these groups.
pub(super) fn groups(names: &[&str]) -> Targets {
    let target =
        |name: &&str| Target { group: Some((*name).into()), schema: Some("s".into()), table: Some("t".into()) };
    Targets::new(names.iter().map(target).collect()).unwrap()
}

/// Targets that are these tables of one group.
pub(super) fn tables(names: &[&str]) -> Targets {
    let target =
        |name: &&str| Target { group: Some("g0".into()), schema: Some("s".into()), table: Some((*name).into()) };
    Targets::new(names.iter().map(target).collect()).unwrap()
}
