//! Do the shards' results have the same columns?

use super::MergeError;
use crate::protocol::{ColumnDef, ColumnFlags, ColumnType};

/// Flags that change how a value is read or compared. Not BINARY: of texts the character set says it too, and on numbers
/// it tells whether the server kept the value in a temporary table, which depends on the shard's rows.
const FLAGS_THAT_MATTER: u16 =
    ColumnFlags::UNSIGNED.0 | ColumnFlags::ZEROFILL.0 | ColumnFlags::ENUM.0 | ColumnFlags::SET.0;

/// Compares the column definitions of all shards and gives the client's: the first shard's, with the longest length,
/// and NOT NULL only where all shards say so. A difference that would mislabel a value is an error: it means that the
/// shards' tables have drifted apart.
pub fn check_columns<C: AsRef<[ColumnDef]>>(shards: &[C]) -> Result<Vec<ColumnDef>, MergeError> {
    let Some((first, others)) = shards.split_first() else { return Ok(Vec::new()) };
    let mut columns = first.as_ref().to_vec();
    for other in others {
        let other = other.as_ref();
        if other.len() != columns.len() {
            return Err(MergeError::ColumnCountsDiffer { first: columns.len(), other: other.len() });
        }
        for (column, other) in columns.iter_mut().zip(other) {
            if let Some(what) = difference(column, other) {
                let column = String::from_utf8_lossy(&column.name).into_owned();
                return Err(MergeError::ColumnsDiffer { column, what });
            }
            column.length = column.length.max(other.length);
            if string_rank(other.kind) > string_rank(column.kind) {
                column.kind = other.kind;
                column.flags = column.flags.with(ColumnFlags(other.flags.0 & ColumnFlags::BLOB.0));
            }
            if !other.flags.contains(ColumnFlags::NOT_NULL) {
                column.flags = column.flags.without(ColumnFlags::NOT_NULL);
            }
        }
    }
    Ok(columns)
}

/// What differs so that one label does not fit both.
fn difference(a: &ColumnDef, b: &ColumnDef) -> Option<&'static str> {
    let both_strings = string_rank(a.kind).is_some() && string_rank(b.kind).is_some();
    // MySQL gives an expression a name under it, but no table, where it kept its value in a temporary table; whether it does
    // is for each shard's plan to say
    let is_kept = |unnamed: &ColumnDef, named: &ColumnDef| unnamed.org_name.is_empty() && named.org_table.is_empty();
    let has_one_origin = a.org_name.eq_ignore_ascii_case(&b.org_name) || is_kept(a, b) || is_kept(b, a);
    if !has_one_origin {
        // a definition that has reached some of the nodes may have put columns in another order
        Some("the column under it")
    } else if a.kind != b.kind && !both_strings {
        Some("the type")
    } else if a.charset != b.charset {
        Some("the character set")
    } else if (a.flags.0 ^ b.flags.0) & FLAGS_THAT_MATTER != 0 {
        Some("UNSIGNED, ZEROFILL, ENUM or SET")
    } else if a.decimals != b.decimals && !is_text(a.kind) {
        Some("the number of decimals")
    } else {
        None
    }
}

/// The types of plain strings, whose values are written alike in both protocols, the widest last. Which of them a server
/// names for an expression may depend on its rows: a temporary table makes a VARCHAR of a CHAR, and a TEXT of a VARCHAR.
fn string_rank(kind: ColumnType) -> Option<usize> {
    const WIDER: [ColumnType; 7] = [
        ColumnType::STRING,
        ColumnType::VARCHAR,
        ColumnType::VAR_STRING,
        ColumnType::TINY_BLOB,
        ColumnType::BLOB,
        ColumnType::MEDIUM_BLOB,
        ColumnType::LONG_BLOB,
    ];
    WIDER.iter().position(|each| *each == kind)
}

/// Whether `decimals` says nothing: servers put different figures there for text.
fn is_text(kind: ColumnType) -> bool {
    matches!(kind, ColumnType::VARCHAR | ColumnType::JSON) || kind.0 >= ColumnType::ENUM.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ColumnView;

    fn column(kind: ColumnType) -> ColumnDef {
        ColumnView::computed(b"total", kind, 10, 45).to_owned()
    }

    #[test]
    fn lengths_and_not_null_are_those_that_fit_all() {
        let mut longer = column(ColumnType::LONG);
        longer.length = 20;
        let mut not_null = column(ColumnType::LONG);
        not_null.flags = not_null.flags.with(ColumnFlags::NOT_NULL);
        let columns = check_columns(&[vec![not_null], vec![longer]]).unwrap();
        assert_eq!(columns[0].length, 20);
        let mut in_temporary_table = column(ColumnType::LONG);
        in_temporary_table.flags = in_temporary_table.flags.with(ColumnFlags::BINARY);
        assert!(check_columns(&[vec![column(ColumnType::LONG)], vec![in_temporary_table]]).is_ok());
        assert!(!columns[0].flags.contains(ColumnFlags::NOT_NULL));
    }

    #[test]
    fn an_expression_may_come_out_of_a_temporary_table() {
        let mut named = column(ColumnType::LONG);
        named.org_name = b"total".to_vec().into();
        let mut other = named.clone();
        other.org_name = b"price".to_vec().into();
        assert!(check_columns(&[vec![column(ColumnType::LONG)], vec![named.clone()]]).is_ok());
        assert!(check_columns(&[vec![named.clone()], vec![other]]).is_err());
        named.org_table = b"orders".to_vec().into();
        assert!(check_columns(&[vec![column(ColumnType::LONG)], vec![named]]).is_err());
    }

    #[test]
    fn of_strings_the_widest_type_labels_all() {
        let columns = check_columns(&[
            vec![column(ColumnType::STRING)],
            vec![column(ColumnType::BLOB)],
            vec![column(ColumnType::VAR_STRING)],
        ]);
        assert_eq!(columns.unwrap()[0].kind, ColumnType::BLOB);
        assert!(check_columns(&[vec![column(ColumnType::ENUM)], vec![column(ColumnType::STRING)]]).is_err());
    }

    #[test]
    fn a_difference_that_would_mislabel_names_the_column() {
        let base = column(ColumnType::LONG);
        let mut unsigned = base.clone();
        unsigned.flags = unsigned.flags.with(ColumnFlags::UNSIGNED);
        let mut charset = base.clone();
        charset.charset = 8;
        let mut decimals = base.clone();
        decimals.decimals = 3;
        for other in [column(ColumnType::LONGLONG), unsigned, charset, decimals] {
            let error = check_columns(&[vec![base.clone()], vec![other]]).unwrap_err();
            assert!(error.to_string().contains("'total'"), "{error}");
        }
        let error = check_columns(&[vec![base.clone()], vec![base.clone(), base]]).unwrap_err();
        assert_eq!(error, MergeError::ColumnCountsDiffer { first: 1, other: 2 });
    }
}
