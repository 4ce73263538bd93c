//! `algorithms`.

use std::collections::BTreeMap;

use crate::config::keys::{self, algorithm_section};
use crate::config::names::nearest;
use crate::config::problem::Place;
use crate::config::reader::{Context, MapReader};
use crate::config::yaml::{Node, Value};
use crate::route::algorithm::{AlgorithmSpec, HashFunction, IntervalUnit, Weights};
use crate::route::key::{DateTimeKey, KeyValue};

/// The most ways that one part of a `complex` algorithm splits.
const MAX_PART: usize = 65_536;

/// Reads one algorithm.
pub(super) fn read<'a>(context: &'a Context<'a>, place: &'a Place, node: &'a Node) -> Option<AlgorithmSpec> {
    let before = context.count();
    let Value::Map(entries) = &node.value else {
        context.problem(&node.place, format!("{} where an algorithm should be", node.kind()), "write {type: …}");
        return None;
    };
    let Some((_, kind)) = entries.iter().find(|(name, _)| name.text == "type") else {
        let fix = format!("add 'type': one of {}", keys::ALGORITHM_TYPES.join(", "));
        context.problem(place, "algorithm without 'type'", fix);
        return None;
    };
    let name = context.text(kind, "the type of an algorithm")?;
    let Some(section) = algorithm_section(&name) else {
        let fix = nearest(&name, keys::ALGORITHM_TYPES.iter().copied());
        context.problem(&kind.place, format!("unknown algorithm '{name}'"), fix);
        return None;
    };
    let map = MapReader::open(context, section, place, node)?;
    // Without a key that must be there, values would be read that nobody wrote.
    let spec = if context.count() == before { settings(map, &name) } else { None };
    spec.filter(|_| context.count() == before)
}

fn settings(map: MapReader<'_>, name: &str) -> Option<AlgorithmSpec> {
    Some(match name {
        "mod" => AlgorithmSpec::Mod,
        "hash_mod" => AlgorithmSpec::HashMod { hash: hash(map)?? },
        "consistent_hash" => {
            AlgorithmSpec::ConsistentHash { virtual_nodes: map.number("virtual_nodes"), weights: weights(map) }
        }
        "range" => AlgorithmSpec::Range { boundaries: keys_of(map, map.node("boundaries")?) },
        "volume_range" => AlgorithmSpec::VolumeRange {
            lower: map.number("lower"),
            upper: map.number("upper"),
            volume: map.number("volume"),
        },
        "interval" => interval(map)?,
        "list" => AlgorithmSpec::List {
            values: values(map, keys_of)?,
            default: map.optional_number::<i64>("default").and_then(|default| usize::try_from(default).ok()),
        },
        "prefix" => {
            let texts = |map: MapReader<'_>, node: &Node| {
                let read = |node| map.context.text(node, "a text");
                map.context.entries(node).iter().filter_map(read).collect()
            };
            AlgorithmSpec::Prefix { values: values(map, texts)?, default: map.optional_number("default") }
        }
        "slice" => {
            AlgorithmSpec::Slice { start: map.number("start"), length: map.optional_number("length"), hash: hash(map)? }
        }
        "jump" => AlgorithmSpec::Jump,
        "complex" => AlgorithmSpec::Complex { parts: parts(map)? },
        _ => AlgorithmSpec::Hint,
    })
}

/// The hash function; the inner `None` is `none`.
#[allow(clippy::option_option)]
fn hash(map: MapReader<'_>) -> Option<Option<HashFunction>> {
    let word = map.word("hash")?;
    Some(HashFunction::ALL.into_iter().find(|hash| hash.name() == word))
}

fn weights(map: MapReader<'_>) -> Weights {
    let context = map.context;
    let number = |node: &Node| -> u32 {
        let text = context.text(node, "an integer").unwrap_or_default();
        text.parse().unwrap_or_else(|_| {
            context.problem(&node.place, format!("weight '{text}'"), "write an integer from 0");
            1
        })
    };
    match map.node("weights").map(|node| (&node.value, node)) {
        None => Weights::Equal,
        Some((Value::Map(entries), _)) => {
            Weights::ByGroup(entries.iter().map(|(name, node)| (name.text.clone(), number(node))).collect())
        }
        Some((_, node)) => Weights::ByPosition(context.entries(node).iter().map(number).collect()),
    }
}

fn interval(map: MapReader<'_>) -> Option<AlgorithmSpec> {
    let moment = |key: &str| {
        let text = map.text(key)?;
        let moment = DateTimeKey::parse(&text);
        if moment.is_none() {
            let fix = "write 2024-01-01 or 2024-01-01 00:00:00";
            map.context.problem(map.place_of(key), format!("{key}: '{text}' is no date"), fix);
        }
        moment
    };
    let word = map.word("unit")?;
    Some(AlgorithmSpec::Interval {
        lower: moment("lower")?,
        upper: moment("upper"),
        suffix_pattern: map.text("suffix_pattern")?,
        amount: map.number("amount"),
        unit: IntervalUnit::ALL.into_iter().find(|unit| unit.name() == word)?,
    })
}

/// The keys of a list: integers, decimals, dates, or texts.
fn keys_of(map: MapReader<'_>, node: &Node) -> Vec<KeyValue> {
    let is_text = map.flag("text");
    let read = |node: &Node| {
        let text = map.context.text(node, "a value")?;
        Some(if is_text { KeyValue::Text(text) } else { KeyValue::guess(&text) })
    };
    map.context.entries(node).iter().filter_map(read).collect()
}

/// `values`: a list of lists, or a map of shard number to list.
fn values<T>(map: MapReader<'_>, read: impl Fn(MapReader<'_>, &Node) -> Vec<T>) -> Option<Vec<Vec<T>>> {
    let node = map.node("values")?;
    let Value::Map(entries) = &node.value else {
        return Some(map.context.entries(node).iter().map(|node| read(map, node)).collect());
    };
    let mut by_shard: BTreeMap<usize, Vec<T>> = BTreeMap::new();
    for (name, node) in entries {
        match name.text.parse().ok().filter(|shard| *shard < MAX_PART) {
            Some(shard) => by_shard.entry(shard).or_default().extend(read(map, node)),
            None => {
                let fix = "write the number of the shard, from 0";
                map.context.problem(&name.place, format!("'{}' is no shard", name.text), fix);
            }
        }
    }
    let count = by_shard.keys().next_back().map_or(0, |last| last + 1);
    Some((0..count).map(|shard| by_shard.remove(&shard).unwrap_or_default()).collect())
}

/// `parts` of a `complex` algorithm: each an algorithm of its own, with `count` beside its keys.
fn parts(map: MapReader<'_>) -> Option<Vec<(AlgorithmSpec, usize)>> {
    let context = map.context;
    let Some(node) = map.node("parts") else { return Some(Vec::new()) };
    let mut parts = Vec::new();
    let mut total = 1_usize;
    for part in context.entries(node) {
        let Value::Map(entries) = &part.value else {
            context.problem(
                &part.place,
                format!("{} where a part should be", part.kind()),
                "write {type: …, count: …}",
            );
            return None;
        };
        let (counts, others): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(|(name, _)| name.text == "count");
        let count = counts.first().and_then(|(_, node)| context.text(node, "an integer"));
        let count = count.and_then(|text| text.parse().ok()).filter(|count| (1..=MAX_PART).contains(count));
        let Some(count) = count else {
            context.problem(
                &part.place,
                "a part without 'count'",
                "add 'count': into how many ways it splits, 1 to 65536",
            );
            return None;
        };
        total = total.saturating_mul(count);
        let others = Node { place: part.place.clone(), value: Value::Map(others) };
        let spec = read_part(context, &others)?;
        parts.push((spec, count));
    }
    if total > MAX_PART {
        context.problem(&node.place, format!("parts that make {total} shards"), format!("use at most {MAX_PART}"));
        return None;
    }
    Some(parts)
}

fn read_part(context: &Context<'_>, node: &Node) -> Option<AlgorithmSpec> {
    let spec = read(context, &node.place, node)?;
    if matches!(spec, AlgorithmSpec::Complex { .. } | AlgorithmSpec::Hint) {
        context.problem(&node.place, "a part that takes no single column", "use another algorithm");
        return None;
    }
    Some(spec)
}
