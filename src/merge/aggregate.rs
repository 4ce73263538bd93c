//! Putting partial aggregates together.

use std::cmp::Ordering;

use super::decimal::Decimal;
use super::key::{self, KeyColumn, KeyValue, Rounded};
use super::row::{Cell, Locator, RowFormat, RowShape};
use super::{AggregateColumn, AggregateFunction, MergeError, Weight, double};
use crate::protocol::{ColumnDef, ColumnFlags, ColumnType};

/// The running values of all aggregates of one group.
#[derive(Debug)]
pub(super) struct Aggregates {
    list: Vec<Aggregate>,
    locator: Locator,
    cells: Vec<Cell>,
    /// All visible columns, for the row that goes out.
    row_locator: Locator,
    row_cells: Vec<Cell>,
}

#[derive(Debug)]
struct Aggregate {
    target: Target,
    running: Running,
    /// The value as the client's row holds it, without its length; filled by [`Aggregates::finish`].
    value: Option<Vec<u8>>,
}

/// The column that receives a value.
#[derive(Debug, Clone)]
struct Target {
    column: usize,
    kind: ColumnType,
    unsigned: bool,
    decimals: u8,
    format: RowFormat,
    name: String,
}

/// A sum, or nothing while there were only NULLs.
#[derive(Debug, Clone, Copy)]
enum Total {
    Integer(Option<i128>),
    Decimal(Option<Decimal>),
    Double(Option<f64>),
}

#[derive(Debug, Clone, Copy)]
enum Bits {
    And,
    Or,
    Xor,
}

#[derive(Debug)]
enum Running {
    Sum { source: Source, total: Total },
    Average { sum: Source, total: Total, count: Source, rows: i128 },
    Extreme(Box<Extreme>),
    Different(Box<Different>),
    Bits { source: Source, bits: Bits, value: u64 },
}

/// The least or greatest value so far: its cell and the cell that was compared.
#[derive(Debug)]
struct Extreme {
    keep: Ordering,
    column: KeyColumn,
    slot: usize,
    key_slot: usize,
    best: Option<(KeyValue, Vec<u8>)>,
    best_value: Vec<u8>,
}

/// How many different keys there were, of rows that are sorted by them; the last one and its cell.
#[derive(Debug)]
struct Different {
    column: KeyColumn,
    key_slot: usize,
    last: Option<(KeyValue, Vec<u8>)>,
    count: i128,
}

/// A column whose numbers are read.
#[derive(Debug, Clone)]
struct Source {
    slot: usize,
    kind: ColumnType,
    unsigned: bool,
    format: RowFormat,
    name: String,
}

impl Aggregates {
    pub(super) fn new(spec: &[AggregateColumn], columns: &[ColumnDef], shape: &RowShape) -> Result<Self, MergeError> {
        let locator = Locator::new(shape, spec.iter().flat_map(needed_columns))?;
        let list = spec
            .iter()
            .map(|aggregate| {
                let target = Target::new(columns, shape.format, aggregate.column)?;
                let running = Running::new(&aggregate.function, &target, columns, &locator)?;
                Ok(Aggregate { target, running, value: None })
            })
            .collect::<Result<_, MergeError>>()?;
        let row_locator = Locator::new(shape, 0..shape.visible())?;
        Ok(Self {
            list,
            cells: vec![Cell::NULL; locator.len()],
            locator,
            row_cells: vec![Cell::NULL; row_locator.len()],
            row_locator,
        })
    }

    /// Forgets the last group.
    pub(super) fn reset(&mut self) {
        for aggregate in &mut self.list {
            aggregate.value = None;
            aggregate.running.reset();
        }
    }

    /// Takes a row's partial values in.
    pub(super) fn add(&mut self, shape: &RowShape, row: &[u8]) -> Result<(), MergeError> {
        self.locator.locate(shape, row, &mut self.cells)?;
        self.list.iter_mut().try_for_each(|aggregate| aggregate.running.add(row, &self.cells))
    }

    /// Computes the values and writes the group's row, as the client gets it, to `out`: `row` with the values in it.
    pub(super) fn finish(&mut self, shape: &RowShape, row: &[u8], out: &mut Vec<u8>) -> Result<(), MergeError> {
        for Aggregate { target, running, value } in &mut self.list {
            *value = running.finish(target)?;
        }
        self.row_locator.locate(shape, row, &mut self.row_cells)?;
        let Self { list, row_locator, row_cells, .. } = self;
        shape.build(out, |column| match list.iter().find(|aggregate| aggregate.target.column == column) {
            Some(aggregate) => aggregate.value.as_deref(),
            None => row_cells[row_locator.slot(column)].of(row),
        });
        Ok(())
    }
}

/// The columns that an aggregate reads.
fn needed_columns(aggregate: &AggregateColumn) -> Vec<usize> {
    match &aggregate.function {
        AggregateFunction::Avg { sum_column, count_column } => vec![*sum_column, *count_column],
        AggregateFunction::Min { weight: Some(weight) } | AggregateFunction::Max { weight: Some(weight) } => {
            vec![aggregate.column, weight.column]
        }
        AggregateFunction::CountDistinct { key } => vec![key.compared_column()],
        _ => vec![aggregate.column],
    }
}

impl Target {
    fn new(columns: &[ColumnDef], format: RowFormat, column: usize) -> Result<Self, MergeError> {
        let def = columns.get(column).ok_or(MergeError::Plan("it names a column that the shards do not send"))?;
        Ok(Self {
            column,
            kind: def.kind,
            unsigned: def.flags.contains(ColumnFlags::UNSIGNED),
            decimals: def.decimals,
            format,
            name: String::from_utf8_lossy(&def.name).into_owned(),
        })
    }

    fn out_of_range(&self, kind: &'static str) -> MergeError {
        MergeError::OutOfRange { kind, column: self.name.clone() }
    }

    fn integer(&self, value: i128) -> Result<Vec<u8>, MergeError> {
        let width = match self.kind {
            ColumnType::TINY => 1,
            ColumnType::SHORT | ColumnType::YEAR => 2,
            ColumnType::LONG | ColumnType::INT24 => 4,
            _ => 8,
        };
        let bits = width as u32 * 8;
        let (least, most) =
            if self.unsigned { (0, (1 << bits) - 1) } else { (-(1_i128 << (bits - 1)), (1 << (bits - 1)) - 1) };
        if !(least..=most).contains(&value) {
            return Err(self.out_of_range(if self.unsigned { "BIGINT UNSIGNED" } else { "BIGINT" }));
        }
        Ok(match self.format {
            RowFormat::Text => value.to_string().into_bytes(),
            RowFormat::Binary => value.to_le_bytes()[..width].to_vec(),
        })
    }

    fn decimal(&self, value: &Decimal) -> Result<Vec<u8>, MergeError> {
        if value.is_too_long() {
            return Err(self.out_of_range("DECIMAL"));
        }
        let mut text = Vec::with_capacity(32);
        value.write(&mut text);
        Ok(text)
    }

    fn double(&self, value: f64) -> Result<Vec<u8>, MergeError> {
        if !value.is_finite() {
            return Err(self.out_of_range("DOUBLE"));
        }
        Ok(match (self.format, self.kind) {
            (RowFormat::Binary, ColumnType::FLOAT) => (value as f32).to_le_bytes().to_vec(),
            (RowFormat::Binary, _) => value.to_le_bytes().to_vec(),
            (RowFormat::Text, _) => {
                let mut text = Vec::with_capacity(24);
                double::write(&mut text, value, self.decimals);
                text
            }
        })
    }
}

impl Running {
    fn new(
        function: &AggregateFunction,
        target: &Target,
        columns: &[ColumnDef],
        locator: &Locator,
    ) -> Result<Self, MergeError> {
        let source = |column: usize| -> Result<Source, MergeError> {
            let from = Target::new(columns, target.format, column)?;
            let Target { kind, unsigned, format, name, .. } = from;
            Ok(Source { slot: locator.slot(column), kind, unsigned, format, name })
        };
        let bits = |bits: Bits| -> Result<Self, MergeError> {
            if target.kind != ColumnType::LONGLONG {
                return Err(refused(target, "a bit aggregate of binary strings"));
            }
            Ok(Self::Bits { source: source(target.column)?, bits, value: 0 })
        };
        let extreme = |keep: Ordering, weight: &Option<Weight>| -> Result<Self, MergeError> {
            let weight = weight.as_ref();
            let column = KeyColumn::new(columns, target.format, target.column, weight, Rounded::Allowed)?;
            let (slot, key) = (target.column, weight.map_or(target.column, |weight| weight.column));
            let (slot, key_slot) = (locator.slot(slot), locator.slot(key));
            Ok(Self::Extreme(Box::new(Extreme { keep, column, slot, key_slot, best: None, best_value: Vec::new() })))
        };
        match function {
            AggregateFunction::Count if !target.kind.is_integer() => Err(MergeError::Plan("a count is no integer")),
            AggregateFunction::Count | AggregateFunction::Sum => {
                let total = Total::of(&columns[target.column], target)?;
                Ok(Self::Sum { source: source(target.column)?, total })
            }
            AggregateFunction::CountDistinct { .. } if !target.kind.is_integer() => {
                Err(MergeError::Plan("a count is no integer"))
            }
            AggregateFunction::CountDistinct { key } => {
                let weight = key.weight.as_ref();
                let column = KeyColumn::new(columns, target.format, key.column, weight, Rounded::Refused)?;
                let key_slot = locator.slot(key.compared_column());
                Ok(Self::Different(Box::new(Different { column, key_slot, last: None, count: 0 })))
            }
            AggregateFunction::Min { weight } => extreme(Ordering::Less, weight),
            AggregateFunction::Max { weight } => extreme(Ordering::Greater, weight),
            AggregateFunction::Avg { sum_column, count_column } => {
                let (sum, count) = (source(*sum_column)?, source(*count_column)?);
                let total = Total::of(&columns[*sum_column], target)?;
                let fits = match total {
                    Total::Integer(_) | Total::Decimal(_) => target.kind.is_decimal(),
                    Total::Double(_) => target.kind == ColumnType::DOUBLE,
                };
                if !fits || !count.kind.is_integer() {
                    return Err(MergeError::Plan("an average's type is not that of its sum and count"));
                }
                Ok(Self::Average { sum, total, count, rows: 0 })
            }
            AggregateFunction::BitAnd => bits(Bits::And),
            AggregateFunction::BitOr => bits(Bits::Or),
            AggregateFunction::BitXor => bits(Bits::Xor),
        }
    }

    fn reset(&mut self) {
        match self {
            Self::Sum { total, .. } => total.reset(),
            Self::Average { total, rows, .. } => {
                total.reset();
                *rows = 0;
            }
            Self::Extreme(extreme) => extreme.best = None,
            Self::Different(different) => (different.last, different.count) = (None, 0),
            Self::Bits { bits, value, .. } => *value = if matches!(bits, Bits::And) { u64::MAX } else { 0 },
        }
    }

    fn add(&mut self, row: &[u8], cells: &[Cell]) -> Result<(), MergeError> {
        match self {
            Self::Sum { source, total } => total.add(source, row, cells),
            Self::Average { sum, total, count, rows } => {
                total.add(sum, row, cells)?;
                *rows += count.integer(row, cells)?.unwrap_or(0);
                Ok(())
            }
            Self::Extreme(extreme) => extreme.add(row, cells),
            Self::Different(different) => different.add(row, cells),
            Self::Bits { source, bits, value } => {
                if let Some(more) = source.integer(row, cells)? {
                    // The column is a BIGINT, signed or not: the bits are those of its two's complement.
                    let more = more as u64;
                    *value = match bits {
                        Bits::And => *value & more,
                        Bits::Or => *value | more,
                        Bits::Xor => *value ^ more,
                    };
                }
                Ok(())
            }
        }
    }

    fn finish(&mut self, target: &Target) -> Result<Option<Vec<u8>>, MergeError> {
        match self {
            Self::Sum { total, .. } => match total {
                Total::Integer(total) => total.map(|total| target.integer(total)).transpose(),
                Total::Decimal(total) => total.as_ref().map(|total| target.decimal(total)).transpose(),
                Total::Double(total) => total.map(|total| target.double(total)).transpose(),
            },
            Self::Average { total, rows, .. } => average(total, *rows, target),
            Self::Extreme(extreme) => Ok(extreme.best.is_some().then(|| extreme.best_value.clone())),
            Self::Different(different) => target.integer(different.count).map(Some),
            Self::Bits { value, .. } if target.unsigned => target.integer((*value).into()).map(Some),
            Self::Bits { value, .. } => target.integer((*value as i64).into()).map(Some),
        }
    }
}

/// AVG from its sum and count; NULL over no rows.
fn average(total: &Total, rows: i128, target: &Target) -> Result<Option<Vec<u8>>, MergeError> {
    if rows == 0 {
        return Ok(None);
    }
    let count = u64::try_from(rows).map_err(|_| target.out_of_range("BIGINT"))?;
    let sum = match total {
        Total::Double(None) | Total::Decimal(None) | Total::Integer(None) => return Ok(None),
        Total::Double(Some(sum)) => return target.double(sum / count as f64).map(Some),
        Total::Decimal(Some(sum)) => Some(*sum),
        Total::Integer(Some(sum)) => Decimal::parse(sum.to_string().as_bytes()),
    };
    let quotient = sum.and_then(|sum| sum.average(count, target.decimals.into()));
    target.decimal(&quotient.ok_or_else(|| target.out_of_range("DECIMAL"))?).map(Some)
}

impl Total {
    fn of(def: &ColumnDef, target: &Target) -> Result<Self, MergeError> {
        match def.kind {
            kind if kind.is_integer() => Ok(Self::Integer(None)),
            kind if kind.is_decimal() => Ok(Self::Decimal(None)),
            // Text with a fixed number of decimals is rounded, and so would be its sum.
            ColumnType::FLOAT | ColumnType::DOUBLE
                if target.format == RowFormat::Text && def.decimals < double::NOT_FIXED =>
            {
                Err(refused(target, "a sum of floating point with a fixed number of decimals"))
            }
            ColumnType::FLOAT | ColumnType::DOUBLE => Ok(Self::Double(None)),
            _ => Err(refused(target, "a sum that is no number")),
        }
    }

    fn reset(&mut self) {
        *self = match self {
            Self::Integer(_) => Self::Integer(None),
            Self::Decimal(_) => Self::Decimal(None),
            Self::Double(_) => Self::Double(None),
        }
    }

    fn add(&mut self, source: &Source, row: &[u8], cells: &[Cell]) -> Result<(), MergeError> {
        match self {
            Self::Integer(total) => {
                if let Some(more) = source.integer(row, cells)? {
                    // Each is of 64 bits, so 128 hold the sum of more rows than there can be.
                    *total = Some(total.unwrap_or(0) + more);
                }
            }
            Self::Decimal(total) => {
                if let Some(text) = cells[source.slot].of(row) {
                    let more = Decimal::parse(text).ok_or_else(|| source.bad_value("a decimal"))?;
                    let sum = match *total {
                        None => Some(more),
                        Some(total) => total.checked_add(more),
                    };
                    let too_long = || MergeError::OutOfRange { kind: "DECIMAL", column: source.name.clone() };
                    *total = Some(sum.ok_or_else(too_long)?);
                }
            }
            Self::Double(total) => {
                if let Some(more) = source.double(row, cells)? {
                    *total = Some(total.unwrap_or(0.0) + more);
                }
            }
        }
        Ok(())
    }
}

impl Source {
    fn bad_value(&self, expected: &'static str) -> MergeError {
        MergeError::BadValue { column: self.name.clone(), expected }
    }

    fn integer(&self, row: &[u8], cells: &[Cell]) -> Result<Option<i128>, MergeError> {
        let Some(bytes) = cells[self.slot].of(row) else { return Ok(None) };
        let value = match (self.format, self.unsigned) {
            (RowFormat::Text, true) => key::unsigned_from_text(bytes).map(i128::from),
            (RowFormat::Text, false) => key::signed_from_text(bytes).map(i128::from),
            (RowFormat::Binary, true) => key::unsigned_from_binary(bytes).map(i128::from),
            (RowFormat::Binary, false) => key::signed_from_binary(bytes).map(i128::from),
        };
        value.map(Some).ok_or_else(|| self.bad_value("an integer"))
    }

    fn double(&self, row: &[u8], cells: &[Cell]) -> Result<Option<f64>, MergeError> {
        let Some(bytes) = cells[self.slot].of(row) else { return Ok(None) };
        let value = match (self.format, self.kind) {
            (RowFormat::Text, _) => std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()),
            (RowFormat::Binary, ColumnType::FLOAT) => bytes.try_into().ok().map(|b| f32::from_le_bytes(b).into()),
            (RowFormat::Binary, _) => bytes.try_into().ok().map(f64::from_le_bytes),
        };
        value.map(Some).ok_or_else(|| self.bad_value("a floating point number"))
    }
}

impl Extreme {
    fn add(&mut self, row: &[u8], cells: &[Cell]) -> Result<(), MergeError> {
        let Some(value) = cells[self.slot].of(row) else { return Ok(()) };
        let key_cell = cells[self.key_slot];
        let key = self.column.decode(row, key_cell)?;
        if key == KeyValue::Null {
            return Err(MergeError::BadValue {
                column: self.column.name().to_owned(),
                expected: "a value whose weight is not NULL",
            });
        }
        let better = match &self.best {
            None => true,
            Some((best, best_bytes)) => self.column.compare(row, key, best_bytes, *best) == self.keep,
        };
        if better {
            self.best = Some(kept(self.best.take(), key, key_cell.of(row))?);
            self.best_value.clear();
            self.best_value.extend_from_slice(value);
        }
        Ok(())
    }
}

impl Different {
    fn add(&mut self, row: &[u8], cells: &[Cell]) -> Result<(), MergeError> {
        let cell = cells[self.key_slot];
        let key = self.column.decode(row, cell)?;
        if key == KeyValue::Null {
            return Ok(());
        }
        let is_same = |(last, bytes): &(KeyValue, Vec<u8>)| self.column.compare(row, key, bytes, *last).is_eq();
        if !self.last.as_ref().is_some_and(is_same) {
            self.count += 1;
            self.last = Some(kept(self.last.take(), key, cell.of(row))?);
        }
        Ok(())
    }
}

/// A key with the bytes of its cell, which outlive their row; takes the room of an old one.
fn kept(
    old: Option<(KeyValue, Vec<u8>)>,
    key: KeyValue,
    cell: Option<&[u8]>,
) -> Result<(KeyValue, Vec<u8>), MergeError> {
    let mut bytes = old.map(|(_, bytes)| bytes).unwrap_or_default();
    bytes.clear();
    bytes.extend_from_slice(cell.unwrap_or_default());
    let key = match key {
        KeyValue::Bytes(_) => KeyValue::Bytes(Cell::whole(&bytes)?),
        number => number,
    };
    Ok((key, bytes))
}

fn refused(target: &Target, what: &str) -> MergeError {
    MergeError::NotSupported {
        what: format!("{what} over several shards (column '{}')", target.name),
        instead: "name the sharding key so that one shard is enough",
    }
}
