//! Edits, on the text they were made for and on its kin.

use super::*;
use crate::sql::{LexMode, scan};

/// The edits made for `first`, applied to `second`, which must have the same fingerprint.
fn edited(first: &str, second: &str, edit: impl FnOnce(&mut SpliceBuilder)) -> Result<String, SpliceError> {
    let mut builder = SpliceBuilder::new();
    edit(&mut builder);
    let mut literals = Vec::new();
    let scanned = scan(first.as_bytes(), LexMode::default(), &mut literals);
    let splice = builder.build(first.len(), &literals)?;
    assert_eq!(scan(second.as_bytes(), LexMode::default(), &mut literals).fingerprint, scanned.fingerprint);
    let mut out = Vec::new();
    splice.apply(second.as_bytes(), &literals, &mut out, |slot, out| out.extend(format!("<{slot}>").bytes()));
    Ok(String::from_utf8(out).unwrap())
}

fn place(text: &str, part: &str) -> Range<usize> {
    let start = text.find(part).unwrap();
    start..start + part.len()
}

#[test]
fn a_table_is_renamed_in_another_text_of_the_fingerprint() {
    let first = "SELECT 'x', a FROM orders WHERE id = 5 AND orders.b = 'yy'";
    let second = "SELECT '', a FROM orders WHERE id = 12345 AND orders.b = 'z'";
    let result = edited(first, second, |edits| {
        edits.replace_text(place(first, "orders"), "orders_3");
        edits.replace(place(first, "orders.").start..place(first, "orders.").end - 1, [Piece::Slot(7)]);
        edits.insert(first.len(), " FOR UPDATE").insert(0, "/*p*/");
    });
    assert_eq!(result.unwrap(), "/*p*/SELECT '', a FROM orders_3 WHERE id = 12345 AND <7>.b = 'z' FOR UPDATE");
}

#[test]
fn a_literal_can_be_replaced_as_a_whole() {
    let first = "SELECT a FROM t LIMIT 10, 5";
    let result = edited(first, "SELECT a FROM t LIMIT 7, 123", |edits| {
        edits.replace_text(place(first, "10"), "0").replace(place(first, "5"), [Piece::Slot(1)]);
    });
    assert_eq!(result.unwrap(), "SELECT a FROM t LIMIT 0, <1>");
}

#[test]
fn a_range_can_be_copied_with_the_edits_inside_it() {
    let first = "SELECT AVG(t.a + 1), b FROM t";
    let argument = place(first, "t.a + 1");
    let table = argument.start..argument.start + 1;
    let result = edited(first, "SELECT AVG(t.a + 100), b FROM t", |edits| {
        edits.replace_text(table.clone(), "t_0");
        edits.replace(
            place(first, "AVG(t.a + 1)"),
            [
                "SUM(".into(),
                Piece::Copy(argument.clone()),
                "), COUNT(".into(),
                Piece::Copy(argument.clone()),
                ")".into(),
            ],
        );
        edits.replace_text(first.len() - 1..first.len(), "t_0");
    });
    assert_eq!(result.unwrap(), "SELECT SUM(t_0.a + 100), COUNT(t_0.a + 100), b FROM t_0");
}

#[test]
fn an_expression_from_elsewhere_can_be_copied() {
    let first = "SELECT a FROM t ORDER BY b + 1";
    let result = edited(first, "SELECT a FROM t ORDER BY b + 22", |edits| {
        edits.replace(
            place(first, " FROM").start..place(first, " FROM").start,
            [", ".into(), Piece::Copy(place(first, "b + 1"))],
        );
    });
    assert_eq!(result.unwrap(), "SELECT a, b + 22 FROM t ORDER BY b + 22");
}

#[test]
fn inserts_at_one_place_keep_their_order_and_stand_before_a_range() {
    let result = edited("abc", "abc", |edits| {
        edits.replace_text(1..2, "X").insert(1, "1").insert(1, "2").insert(2, "3").delete(2..3);
    });
    assert_eq!(result.unwrap(), "a12X3");
}

#[test]
fn edits_that_make_no_sense_are_refused() {
    let overlap = edited("abcdef", "abcdef", |edits| {
        edits.delete(0..3).delete(2..4);
    });
    assert_eq!(overlap, Err(SpliceError::Overlap(0)));
    let twice = edited("abcdef", "abcdef", |edits| {
        edits.delete(0..3).delete(0..3);
    });
    assert_eq!(twice, Err(SpliceError::Overlap(0)));
    let inside = edited("SELECT 123", "SELECT 123", |edits| {
        edits.insert(8, "x");
    });
    assert_eq!(inside, Err(SpliceError::InsideLiteral(8)));
    let cyclic = edited("abcdef", "abcdef", |edits| {
        edits.replace(1..2, [Piece::Copy(3..6)]).replace(4..5, [Piece::Copy(0..3)]);
    });
    assert!(matches!(cyclic, Err(SpliceError::CopiesItself(_))));
    let crossing = edited("abcdef", "abcdef", |edits| {
        edits.replace(0..0, [Piece::Copy(1..3)]).delete(2..4);
    });
    assert_eq!(crossing, Err(SpliceError::Overlap(2)));
    let outside = edited("abc", "abc", |edits| {
        edits.insert(8, "x");
    });
    assert_eq!(outside, Err(SpliceError::OutOfText(8)));
}
