//! The merger against a model that holds all rows in memory.

mod cases;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::protocol::temporal::DateTime;
use crate::protocol::wire::put_lenenc_bytes;
use crate::protocol::{ColumnDef, ColumnFlags, ColumnType, ColumnView, Value};

/// A value of the model.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Cell {
    Null,
    Int(i64),
    /// Hundredths.
    Decimal(i64),
    Double(f64),
    Date(DateTime),
    Text(String),
    Bytes(Vec<u8>),
}

use Cell::{Null, Text};

type Model = Vec<Cell>;

fn column(name: &str, kind: ColumnType) -> ColumnDef {
    let mut column = ColumnView::computed(name.as_bytes(), kind, 255, 45).to_owned();
    if kind == ColumnType::NEWDECIMAL {
        column.decimals = 2;
    }
    column
}

fn weight_column(name: &str) -> ColumnDef {
    ColumnView::computed(name.as_bytes(), ColumnType::VAR_STRING, 255, 63).to_owned()
}

fn hundredths(value: i64) -> String {
    format!("{}{}.{:02}", if value < 0 { "-" } else { "" }, value.abs() / 100, value.abs() % 100)
}

fn cell_text(cell: &Cell) -> Option<Vec<u8>> {
    Some(match cell {
        Null => return None,
        Cell::Int(value) => value.to_string().into_bytes(),
        Cell::Decimal(value) => hundredths(*value).into_bytes(),
        Cell::Double(value) => {
            let mut out = Vec::new();
            double::write(&mut out, *value, double::NOT_FIXED);
            out
        }
        Cell::Date(at) => {
            let mut text = Default::default();
            at.text(6, &mut text);
            text.as_bytes().to_vec()
        }
        Text(text) => text.clone().into_bytes(),
        Cell::Bytes(bytes) => bytes.clone(),
    })
}

/// A row as a server encodes it.
fn encode(columns: &[ColumnDef], row: &[Cell], format: RowFormat) -> Bytes {
    let mut out = Vec::new();
    match format {
        RowFormat::Text => {
            for cell in row {
                match cell_text(cell) {
                    None => out.push(0xFB),
                    Some(text) => put_lenenc_bytes(&mut out, &text),
                }
            }
        }
        RowFormat::Binary => {
            out.resize(1 + (columns.len() + 9) / 8, 0);
            for (index, (cell, column)) in row.iter().zip(columns).enumerate() {
                let text;
                let value = match cell {
                    Null => {
                        out[1 + (index + 2) / 8] |= 1 << ((index + 2) % 8);
                        continue;
                    }
                    Cell::Int(value) => Value::Int(*value),
                    Cell::Double(value) => Value::Double(*value),
                    Cell::Date(at) => Value::DateTime(*at),
                    other => {
                        text = cell_text(other).unwrap();
                        Value::Bytes(&text)
                    }
                };
                value.put(column.kind, &mut out);
            }
        }
    }
    out.into()
}

fn packet(row: &[u8]) -> Vec<u8> {
    let len = row.len() as u32;
    let mut packet = vec![len as u8, (len >> 8) as u8, (len >> 16) as u8, 7];
    packet.extend_from_slice(row);
    packet
}

/// A sink that has room for a few rows at a time.
#[derive(Default)]
struct Small {
    rows: Vec<Bytes>,
    room: usize,
}

impl RowSink for Small {
    fn row(&mut self, payload: &[u8]) {
        self.rows.push(Bytes::copy_from_slice(payload));
        self.room -= 1;
    }

    fn is_full(&self) -> bool {
        self.room == 0
    }
}

/// Feeds the shards' rows as the merger asks for them; `batch` rows at a time, as packets if it is more than one.
fn merge(
    spec: &MergeSpec,
    columns: &[ColumnDef],
    format: RowFormat,
    shards: &[Vec<Bytes>],
    batch: usize,
) -> Result<Vec<Bytes>, MergeError> {
    let mut merger = Merger::new(spec, columns, format, shards.len())?;
    let mut fed = vec![0; shards.len()];
    let mut sink = Small { rows: Vec::new(), room: 3 };
    loop {
        let step = merger.run(&mut sink)?;
        let input = match step {
            Step::Done => {
                assert_eq!(merger.rows_out(), sink.rows.len() as u64);
                return Ok(sink.rows);
            }
            Step::SinkFull => {
                sink.room = 3;
                continue;
            }
            Step::Need(input) => input,
            // Each time the one that lags behind most, an ended one last.
            Step::NeedAny => (0..shards.len()).min_by_key(|&i| (fed[i] > shards[i].len(), fed[i])).unwrap(),
        };
        let rows = &shards[input][fed[input].min(shards[input].len())..];
        if rows.is_empty() {
            fed[input] = shards[input].len() + 1;
            merger.end(input);
        } else if batch == 1 {
            merger.push(input, rows[0].clone());
            fed[input] += 1;
        } else {
            let rows = &rows[..rows.len().min(batch)];
            merger.push_packets(input, rows.iter().flat_map(|row| packet(row)).collect());
            fed[input] += rows.len();
        }
    }
}

fn encode_all(columns: &[ColumnDef], rows: &[Model], format: RowFormat) -> Vec<Bytes> {
    rows.iter().map(|row| encode(columns, row, format)).collect()
}

/// 'a' and 'a ' are equal here, as under a PAD SPACE collation; 'a' TAB is less.
fn padded(text: &str) -> String {
    format!("{text:<8}")
}

fn compare_cells(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Text(a), Text(b)) => padded(a).cmp(&padded(b)),
        _ => a.partial_cmp(b).unwrap(),
    }
}

fn compare_rows(order: &[SortKey], a: &Model, b: &Model) -> Ordering {
    order.iter().fold(Ordering::Equal, |so_far, key| {
        let next = compare_cells(&a[key.column], &b[key.column]);
        so_far.then(if key.descending { next.reverse() } else { next })
    })
}

const ID: usize = 0;
const PRICE: usize = 1;
const NAME: usize = 2;
const AT: usize = 3;
const RATIO: usize = 4;
const NAME_WEIGHT: usize = 5;

/// id INT, price DECIMAL(10,2), name VARCHAR, at DATETIME(6), ratio DOUBLE; hidden: WEIGHT_STRING(name).
fn item_columns() -> Vec<ColumnDef> {
    vec![
        column("id", ColumnType::LONG),
        column("price", ColumnType::NEWDECIMAL),
        column("name", ColumnType::VAR_STRING),
        column("at", ColumnType::DATETIME),
        column("ratio", ColumnType::DOUBLE),
        weight_column("weight"),
    ]
}

fn or_null<S: Strategy<Value = Cell>>(values: S) -> impl Strategy<Value = Cell> {
    prop_oneof![1 => Just(Null), 6 => values]
}

fn item() -> impl Strategy<Value = Model> {
    (
        or_null((-5_i64..5).prop_map(Cell::Int)),
        or_null((-300_i64..300).prop_map(Cell::Decimal)),
        or_null("[ab\t ]{0,3}".prop_map(Text)),
        or_null((0_u8..3, 0_u32..3).prop_map(|(day, micros)| {
            Cell::Date(DateTime { year: 2024, month: 2, day, micros, ..Default::default() })
        })),
        or_null((-4_i32..4).prop_map(|n| Cell::Double(f64::from(n) / 3.0))),
    )
        .prop_map(|(id, price, name, at, ratio)| {
            let weight = match &name {
                Text(text) => Cell::Bytes(text.clone().into_bytes()),
                _ => Null,
            };
            vec![id, price, name, at, ratio, weight]
        })
}

fn item_key(column: usize, descending: bool) -> SortKey {
    let weight = Weight { column: NAME_WEIGHT, pad: Pad::Space(b" ") };
    SortKey { column, weight: (column == NAME).then_some(weight), descending }
}

fn item_order() -> impl Strategy<Value = Vec<SortKey>> {
    let columns = proptest::sample::subsequence(vec![ID, PRICE, NAME, AT, RATIO], 1..=5).prop_shuffle();
    (columns, proptest::collection::vec(any::<bool>(), 5))
        .prop_map(|(columns, down)| columns.into_iter().zip(down).map(|(c, down)| item_key(c, down)).collect())
}

fn shards_of_items() -> impl Strategy<Value = Vec<Vec<Model>>> {
    proptest::collection::vec(proptest::collection::vec(item(), 0..20), 1..6)
}

fn formats() -> impl Strategy<Value = RowFormat> {
    prop_oneof![Just(RowFormat::Text), Just(RowFormat::Binary)]
}

/// The rows as the client must get them: without the hidden column.
fn visible(columns: &[ColumnDef], rows: &[Model], hidden: usize, format: RowFormat) -> Vec<Bytes> {
    let shown = columns.len() - hidden;
    rows.iter().map(|row| encode(&columns[..shown], &row[..shown], format)).collect()
}

proptest! {
    #[test]
    fn sorted_rows_leave_sorted(
        mut shards in shards_of_items(), order in item_order(), format in formats(),
        batch in 1_usize..5, limit in proptest::option::of(0_u64..30), offset in 0_u64..5,
    ) {
        let columns = item_columns();
        let mut all: Vec<Model> = Vec::new();
        for shard in &mut shards {
            shard.sort_by(|a, b| compare_rows(&order, a, b));
            all.extend(shard.iter().cloned());
        }
        // Equal rows leave in the order of the shards, so a stable sort is the model.
        all.sort_by(|a, b| compare_rows(&order, a, b));
        let expected: Vec<Model> =
            all.into_iter().skip(offset as usize).take(limit.map_or(usize::MAX, |limit| limit as usize)).collect();
        let spec = MergeSpec { order, limit, offset, hidden_columns: 1, ..Default::default() };
        let encoded: Vec<_> = shards.iter().map(|rows| encode_all(&columns, rows, format)).collect();
        let merged = merge(&spec, &columns, format, &encoded, batch).unwrap();
        prop_assert_eq!(merged, visible(&columns, &expected, 1, format));
    }

    #[test]
    fn distinct_rows_leave_once(mut shards in shards_of_items(), format in formats(), batch in 1_usize..4) {
        let columns = item_columns();
        let order: Vec<_> = [NAME, ID, PRICE, AT, RATIO].map(|column| item_key(column, column == ID)).into();
        let mut all: Vec<Model> = Vec::new();
        for shard in &mut shards {
            shard.sort_by(|a, b| compare_rows(&order, a, b));
            shard.dedup_by(|b, a| compare_rows(&order, a, b).is_eq());
            all.extend(shard.iter().cloned());
        }
        all.sort_by(|a, b| compare_rows(&order, a, b));
        all.dedup_by(|b, a| compare_rows(&order, a, b).is_eq());
        let spec = MergeSpec { order, distinct: true, hidden_columns: 1, ..Default::default() };
        let encoded: Vec<_> = shards.iter().map(|rows| encode_all(&columns, rows, format)).collect();
        let merged = merge(&spec, &columns, format, &encoded, batch).unwrap();
        prop_assert_eq!(merged, visible(&columns, &all, 1, format));
    }

    #[test]
    fn groups_add_up(
        shards in proptest::collection::vec(proptest::collection::vec(sale(), 0..20), 1..6),
        format in formats(), batch in 1_usize..4, descending: bool,
    ) {
        let columns = sale_columns();
        let order = vec![SortKey { descending, ..SortKey::ascending(0) }];
        let partials: Vec<_> = shards.iter().map(|rows| encode_all(&columns, &group(rows, descending), format)).collect();
        let whole = group(&shards.concat(), descending);
        let merged = merge(&sale_spec(order.clone(), order), &columns, format, &partials, batch).unwrap();
        prop_assert_eq!(merged, visible(&columns, &whole, 2, format));
    }

    #[test]
    fn no_bytes_make_it_panic(
        rows in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..5),
        format in formats(), order in item_order(),
    ) {
        let spec = MergeSpec { order, hidden_columns: 1, ..Default::default() };
        let rows: Vec<Bytes> = rows.into_iter().map(Bytes::from).collect();
        let _ = merge(&spec, &item_columns(), format, std::slice::from_ref(&rows), 1);
        let spec = sale_spec(vec![SortKey::ascending(0)], vec![SortKey::ascending(0)]);
        let _ = merge(&spec, &sale_columns(), format, &[rows.clone(), rows.clone()], 1);
        let mut merger = Merger::new(&spec, &sale_columns(), format, 1).unwrap();
        merger.push_packets(0, rows.concat().into());
        let _ = merger.run(&mut Vec::new());
    }
}

/// shop INT, COUNT(*), SUM(price), AVG(price), MIN(price), MAX(price), BIT_OR(n); hidden: SUM(price), COUNT(price).
fn sale_columns() -> Vec<ColumnDef> {
    let mut columns = vec![
        column("shop", ColumnType::LONG),
        column("count", ColumnType::LONGLONG),
        column("sum", ColumnType::NEWDECIMAL),
        column("avg", ColumnType::NEWDECIMAL),
        column("min", ColumnType::NEWDECIMAL),
        column("max", ColumnType::NEWDECIMAL),
        column("bits", ColumnType::LONGLONG),
        column("hidden_sum", ColumnType::NEWDECIMAL),
        column("hidden_count", ColumnType::LONGLONG),
    ];
    columns[3].decimals = 6;
    columns
}

fn sale_spec(group: Vec<SortKey>, order: Vec<SortKey>) -> MergeSpec {
    use AggregateFunction::*;
    let functions =
        [Count, Sum, Avg { sum_column: 7, count_column: 8 }, Min { weight: None }, Max { weight: None }, BitOr];
    let aggregates =
        functions.into_iter().enumerate().map(|(i, function)| AggregateColumn { column: i + 1, function }).collect();
    MergeSpec { order, group, aggregates, hidden_columns: 2, ..Default::default() }
}

/// shop, price, bits.
fn sale() -> impl Strategy<Value = (Option<i64>, Option<i64>, i64)> {
    (proptest::option::of(0_i64..4), proptest::option::of(-99_999_i64..99_999), 0_i64..64)
}

/// What one server answers to the grouped query.
fn group(rows: &[(Option<i64>, Option<i64>, i64)], descending: bool) -> Vec<Model> {
    let mut shops: BTreeMap<Option<i64>, Vec<(Option<i64>, i64)>> = BTreeMap::new();
    for (shop, price, bits) in rows {
        shops.entry(*shop).or_default().push((*price, *bits));
    }
    let mut groups: Vec<Model> = shops
        .into_iter()
        .map(|(shop, rows)| {
            let prices: Vec<i64> = rows.iter().filter_map(|row| row.0).collect();
            let decimal = |value: Option<i64>| value.map_or(Null, Cell::Decimal);
            let count = prices.len() as i64;
            let sum: i64 = prices.iter().sum();
            let average = (count > 0).then(|| {
                // Millionths, half away from zero.
                let (scaled, half) = (sum.abs() * 10_000, count);
                let millionths = (2 * scaled + half) / (2 * half);
                let sign = if sum < 0 && millionths > 0 { "-" } else { "" };
                Text(format!("{sign}{}.{:06}", millionths / 1_000_000, millionths % 1_000_000))
            });
            vec![
                shop.map_or(Null, Cell::Int),
                Cell::Int(rows.len() as i64),
                decimal((count > 0).then_some(sum)),
                average.unwrap_or(Null),
                decimal(prices.iter().min().copied()),
                decimal(prices.iter().max().copied()),
                Cell::Int(rows.iter().fold(0, |bits, row| bits | row.1)),
                decimal((count > 0).then_some(sum)),
                Cell::Int(count),
            ]
        })
        .collect();
    if descending {
        groups.reverse();
    }
    groups
}
