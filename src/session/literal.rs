//! Values as SQL literals.

use crate::protocol::column::ColumnDef;
use crate::protocol::{ColumnFlags, ColumnType, charset};

/// A string literal that reads the same under every `sql_mode`: backslashes and quotes are never escaped with a backslash.
pub fn quote(text: &[u8]) -> String {
    match std::str::from_utf8(text) {
        Ok(text) if !text.contains('\\') => format!("'{}'", text.replace('\'', "''")),
        _ => format!("CONVERT({} USING utf8mb4)", hex(text)),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("x'{digits}'")
}

/// The literal that gives a cell of a text result again, type included: numbers stay numbers, text keeps its collation.
pub fn literal_of(column: &ColumnDef, cell: Option<&[u8]>) -> String {
    let Some(bytes) = cell else { return "NULL".to_owned() };
    let text = String::from_utf8_lossy(bytes);
    match column.kind {
        // without a point it would be an integer
        kind if kind.is_decimal() && !text.contains('.') => format!("{text}."),
        kind if kind.is_integer() || kind.is_decimal() => text.into_owned(),
        ColumnType::FLOAT | ColumnType::DOUBLE if text.contains(['e', 'E']) => text.into_owned(),
        ColumnType::FLOAT | ColumnType::DOUBLE => format!("{text}e0"),
        _ if column.charset == charset::BINARY && !column.flags.contains(ColumnFlags::NUM) => {
            if bytes.is_empty() {
                "''".to_owned()
            } else {
                hex(bytes)
            }
        }
        _ => quote(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_needs_no_backslash() {
        assert_eq!(quote(b"it's"), "'it''s'");
        assert_eq!(quote(br"a\b"), "CONVERT(x'615C62' USING utf8mb4)");
    }
}
