//! Values on their way from a query into a column, as literals.
//!
//! One server assigns the value itself, with its type: a DATE becomes a number in a column of numbers, a member of an ENUM
//! its index. A literal has a type of its own, so it is written in the form from which the column makes the same; where
//! there is none that is known to, the statement is refused.

use super::literal::Writer;
use crate::error::SqlError;
use crate::plan::compose::{Taker, Takes};
use crate::protocol::column::ColumnDef;
use crate::protocol::temporal::{DateTime, Time};
use crate::protocol::{ColumnFlags, ColumnType, Value, charset};
use crate::sql::LexMode;
use crate::sql::lexer::{Lexer, Token, TokenKind};

/// How many digits after the point a DOUBLE has that is not cut to some.
const ALL_DIGITS: u8 = 31;

/// A value that its column does not tell to be one.
const HEX: &str = "a hexadecimal or binary literal";

/// Writes values into columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carrier {
    pub writer: Writer,
    /// The query has literals like `0x2A`: their values are numbers where numbers are meant, and their columns do not say so.
    pub may_be_hex: bool,
}

impl Carrier {
    /// Writes a value of a result column that goes to another column; of that nothing is known where it is not there.
    pub fn cell(
        &self,
        value: &Value<'_>,
        column: &ColumnDef,
        taker: Option<&Taker>,
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        let (Some(taker), false) = (taker, matches!(value, Value::Null)) else {
            self.writer.cell(value, column, out);
            return Ok(());
        };
        match self.form(value, column, taker) {
            Form::AsItIs => self.writer.cell(value, column, out),
            Form::Number(text) => out.extend_from_slice(text.as_bytes()),
            Form::Unknown(what) => {
                return Err(SqlError::not_supported(
                    format!("{what} as a value of '{}' over several shards", taker.column),
                    "convert it with CAST to the type that is meant",
                ));
            }
        }
        Ok(())
    }

    fn form(&self, value: &Value<'_>, column: &ColumnDef, taker: &Taker) -> Form {
        let is = |flag| column.flags.contains(flag);
        match value {
            Value::Date(date) => of_date(date, taker),
            Value::DateTime(moment) => of_moment(moment, taker),
            Value::Time(time) => of_time(time, taker),
            Value::Int(0) | Value::UInt(0) if column.kind == ColumnType::YEAR && !takes_zero_year(taker) => {
                Form::Unknown("the YEAR 0000")
            }
            Value::Int(number) if column.kind == ColumnType::YEAR => of_year(&number.to_string(), taker),
            Value::UInt(number) if column.kind == ColumnType::YEAR => of_year(&number.to_string(), taker),
            Value::Int(_) | Value::UInt(_) if is(ColumnFlags::ZEROFILL) && !taker.is_number() => {
                Form::Unknown("a number with ZEROFILL")
            }
            Value::UInt(number) if is(ColumnFlags::ZEROFILL) => Form::Number(number.to_string()),
            Value::Float(_) if !taker.is_number() => Form::Unknown("a FLOAT"),
            Value::Double(_) if column.decimals < ALL_DIGITS && taker.takes == Takes::Text => {
                Form::Unknown("a DOUBLE with digits")
            }
            // MariaDB takes `-0x8000000000` for an INT, and sends but half of it
            Value::Int(_) | Value::UInt(_)
                if self.may_be_hex && column.org_table.is_empty() && column.kind != ColumnType::LONGLONG =>
            {
                Form::Unknown(HEX)
            }
            Value::Bytes(bytes) if column.kind == ColumnType::BIT => of_bits(bytes, taker),
            Value::Bytes(bytes) if is(ColumnFlags::ENUM) => match taker.takes {
                Takes::Member if bytes.is_empty() => Form::Unknown("no member of an ENUM"),
                takes if is_index(takes) => Form::Unknown("a member of an ENUM"),
                _ => Form::AsItIs,
            },
            Value::Bytes(_) if is(ColumnFlags::SET) && is_index(taker.takes) => Form::Unknown("a SET"),
            Value::Bytes(_) if column.charset == charset::BINARY && column.kind != ColumnType::JSON => {
                self.of_bytes(column, taker)
            }
            _ => Form::AsItIs,
        }
    }

    fn of_bytes(&self, column: &ColumnDef, taker: &Taker) -> Form {
        let is_computed = column.org_table.is_empty() && !column.kind.is_decimal();
        match taker.takes {
            Takes::Json => Form::Unknown("bytes"),
            Takes::Text => Form::AsItIs,
            _ if self.may_be_hex && is_computed => Form::Unknown(HEX),
            _ => Form::AsItIs,
        }
    }
}

/// How a value is written.
enum Form {
    AsItIs,
    Number(String),
    /// Not known: what it is.
    Unknown(&'static str),
}

/// Whether a column makes a number of the index of a member.
fn is_index(takes: Takes) -> bool {
    matches!(takes, Takes::Integer | Takes::Fraction | Takes::Bit | Takes::Year | Takes::Json)
}

fn of_date(date: &DateTime, taker: &Taker) -> Form {
    match taker.takes {
        Takes::Integer | Takes::Fraction => Form::Number(day_number(date).to_string()),
        Takes::Date | Takes::Moment | Takes::Text | Takes::Member | Takes::Other => Form::AsItIs,
        _ => Form::Unknown("a DATE"),
    }
}

fn of_moment(moment: &DateTime, taker: &Taker) -> Form {
    let clock = u64::from(moment.hour) * 10_000 + u64::from(moment.minute) * 100 + u64::from(moment.second);
    let number = day_number(moment) * 1_000_000 + clock;
    match taker.takes {
        // the servers round in their own ways
        Takes::Integer | Takes::Date if moment.micros != 0 => Form::Unknown("a moment with a fraction"),
        Takes::Integer => Form::Number(number.to_string()),
        Takes::Fraction => Form::Number(with_fraction(number, moment.micros)),
        Takes::Date | Takes::Moment | Takes::Text | Takes::Member | Takes::Other => Form::AsItIs,
        _ => Form::Unknown("a DATETIME or TIMESTAMP"),
    }
}

fn of_time(time: &Time, taker: &Taker) -> Form {
    let hours = u64::from(time.days) * 24 + u64::from(time.hours);
    let number = hours * 10_000 + u64::from(time.minutes) * 100 + u64::from(time.seconds);
    let sign = if time.negative { "-" } else { "" };
    match taker.takes {
        Takes::Integer if time.micros != 0 => Form::Unknown("a TIME with a fraction"),
        Takes::Integer => Form::Number(format!("{sign}{number}")),
        Takes::Fraction => Form::Number(format!("{sign}{}", with_fraction(number, time.micros))),
        Takes::Time | Takes::Text | Takes::Member | Takes::Other => Form::AsItIs,
        _ => Form::Unknown("a TIME"),
    }
}

fn day_number(date: &DateTime) -> u64 {
    u64::from(date.year) * 10_000 + u64::from(date.month) * 100 + u64::from(date.day)
}

fn with_fraction(number: u64, micros: u32) -> String {
    if micros == 0 { number.to_string() } else { format!("{number}.{micros:06}") }
}

fn of_year(year: &str, taker: &Taker) -> Form {
    match taker.takes {
        Takes::Integer | Takes::Fraction | Takes::Year | Takes::Text => Form::Number(year.to_owned()),
        _ => Form::Unknown("a YEAR"),
    }
}

fn takes_zero_year(taker: &Taker) -> bool {
    taker.is_number() || taker.takes == Takes::Year
}

/// What a text is made of them, the number or the bytes, depends on where they come from.
fn of_bits(bytes: &[u8], taker: &Taker) -> Form {
    match taker.takes {
        Takes::Integer | Takes::Fraction | Takes::Bit => {
            Form::Number(bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)).to_string())
        }
        _ => Form::Unknown("bits"),
    }
}

/// Whether a text has literals that are numbers or strings, as it is needed, among what it computes: in front of its
/// conditions, if it has but one query, else anywhere.
pub(super) fn has_hex(sql: &[u8], mode: LexMode) -> bool {
    let tokens: Vec<_> = Lexer::new(sql, mode).collect();
    let is_word = |token: &Token, word: &str| {
        token.kind == TokenKind::Word && sql[token.start..token.end].eq_ignore_ascii_case(word.as_bytes())
    };
    let is_hex = |token: &Token| matches!(token.kind, TokenKind::Hex | TokenKind::Bit);
    let is_one = tokens.iter().filter(|token| is_word(token, "SELECT")).count() < 2;
    let behind = |token: &Token| is_one && is_word(token, "WHERE");
    tokens.iter().take_while(|token| !behind(token)).any(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_in_conditions_are_no_values() {
        let has = |sql: &str| has_hex(sql.as_bytes(), LexMode::default());
        assert!(has("SELECT id, 0x31 FROM t"));
        assert!(has("UPDATE t JOIN u SET t.a = b'1' WHERE t.id = u.id"));
        assert!(!has("SELECT id, 1 FROM t WHERE u = x'3132'"));
        assert!(has("SELECT id FROM t WHERE id = 1 UNION SELECT 0x31"));
    }
}
