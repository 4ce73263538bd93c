//! The constants of one execution: the literals of the text at hand, and the parameters.

use super::key::RawValue;
use super::source::{Arithmetic, Operation, Source};
use crate::sql::{LexMode, Literal, LiteralKind};

/// What sources are evaluated on.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The text.
    pub sql: &'a [u8],
    /// Its literals.
    pub literals: &'a [Literal],
    /// The parameters of a prepared statement.
    pub params: &'a [RawValue<'a>],
    /// How strings are read.
    pub mode: LexMode,
    /// Texts are UTF-8 (or ASCII, whatever the client's character set).
    pub utf8: bool,
}

impl<'a> Values<'a> {
    /// The value of a source.
    pub fn get(&self, source: &Source) -> RawValue<'a> {
        let value = match source {
            Source::Literal { index, negative } => self.literal(*index, *negative),
            Source::Param(index) => self.params.get(*index as usize).cloned(),
            Source::Null => Some(RawValue::Null),
            Source::Int(value) => Some(RawValue::Int(i128::from(*value))),
            Source::Arithmetic(arithmetic) => self.arithmetic(arithmetic).map(RawValue::Int),
            Source::Unknown => None,
        };
        match value {
            Some(RawValue::Text(text)) if !self.utf8 && !text.is_ascii() => RawValue::Unknown,
            value => value.unwrap_or(RawValue::Unknown),
        }
    }

    /// The value of a source that is an integer.
    pub fn integer(&self, source: &Source) -> Option<i128> {
        match self.get(source) {
            RawValue::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a source as LIMIT takes it: some drivers send the numbers of a prepared statement as text or as doubles.
    pub fn count(&self, source: &Source) -> Option<u64> {
        match self.get(source) {
            RawValue::Int(value) => u64::try_from(value).ok(),
            RawValue::Text(text) => std::str::from_utf8(&text).ok()?.trim().parse().ok(),
            RawValue::Float(value) if value >= 0.0 && value.fract() == 0.0 && value < 9e15 => Some(value as u64),
            _ => None,
        }
    }

    fn literal(&self, index: u32, negative: bool) -> Option<RawValue<'a>> {
        let literal = self.literals.get(index as usize)?;
        let bytes = literal.bytes(self.sql);
        match literal.kind {
            LiteralKind::Integer => {
                let value: i128 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
                Some(RawValue::Int(if negative { -value } else { value }))
            }
            LiteralKind::Decimal => {
                let text = std::str::from_utf8(bytes).ok()?;
                Some(RawValue::Decimal(if negative { format!("-{text}").into() } else { text.into() }))
            }
            LiteralKind::Float => {
                let value: f64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
                Some(RawValue::Float(if negative { -value } else { value }))
            }
            LiteralKind::String if !negative => Some(RawValue::Text(literal.value(self.sql, self.mode))),
            LiteralKind::Hex | LiteralKind::Bit if !negative => {
                let value = literal.value(self.sql, self.mode);
                // `0x2A` and `b'1'` are numbers where numbers are meant; of `x'2A'` the servers differ
                let is_number = literal.kind == LiteralKind::Bit || bytes.starts_with(b"0");
                Some(if is_number { RawValue::Hex(value) } else { RawValue::Binary(value) })
            }
            _ => None,
        }
    }

    fn arithmetic(&self, arithmetic: &Arithmetic) -> Option<i128> {
        let (left, right) = (self.integer(&arithmetic.left)?, self.integer(&arithmetic.right)?);
        let result = match arithmetic.operation {
            Operation::Add => left.checked_add(right),
            Operation::Subtract => left.checked_sub(right),
            Operation::Multiply => left.checked_mul(right),
        };
        // past BIGINT the server raises an error or turns to another type
        result.filter(|value| i64::try_from(*value).is_ok())
    }
}
