//! From the tree back to the text.
//!
//! The parser is fed with tokens whose column is their byte offset plus one ([`super::tokens`]), so a span holds byte
//! offsets. A node without a span, or one that the pre-pass made, has an empty one.
//!
//! What `sqlparser` 0.63 says of a node is exact for identifiers, names, literals, and for operators and `CASE` between
//! such. Of other expressions it knows a part only, always inside of the true range: a call without its `)` (`NOW()`
//! without both), parentheses and subqueries without theirs, `NOT a`, `-a`, `a IS NULL`, `CAST(a AS …)` as `a`, a list
//! item without an alias in quotes; `a REGEXP b` not at all. So take a range from the tree for names and literals, and
//! from the tokens (the planner's outline) for everything larger.

use sqlparser::ast::Spanned;
use sqlparser::tokenizer::Span;
use std::ops::Range;

/// The byte range of a span, if the span is not empty.
pub fn range_of(span: Span) -> Option<Range<usize>> {
    if span.start.line == 0 || span.end.line == 0 {
        return None;
    }
    let offset = |column: u64| usize::try_from(column).ok()?.checked_sub(1);
    let (start, end) = (offset(span.start.column)?, offset(span.end.column)?);
    (start <= end).then_some(start..end)
}

/// The byte range of a node, as far as `sqlparser` knows it. Reliable for identifiers, names, literals.
pub fn range(node: &impl Spanned) -> Option<Range<usize>> {
    range_of(node.span())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{LexMode, parse};
    use sqlparser::ast::{SetExpr, Statement};

    /// The span of the first item of a select list, and the true range.
    fn ranges(item: &str) -> (Option<Range<usize>>, Range<usize>) {
        let sql = format!("SELECT {item} FROM t");
        let Statement::Query(query) = parse(sql.as_bytes(), LexMode::default()).unwrap().statement else { panic!() };
        let SetExpr::Select(select) = *query.body else { panic!() };
        let start = "SELECT ".len();
        (range(&select.projection[0]), start..start + item.len())
    }

    #[test]
    fn spans_of_names_literals_and_operators_are_exact() {
        for item in [
            "a",
            "d.t.`a b`",
            "'it''s é'",
            "'a' 'b'",
            "é + 1.5",
            "a = ?",
            "CASE a WHEN 1 THEN b END",
            "a AS b",
            "@a := 1",
        ] {
            let (span, truth) = ranges(item);
            assert_eq!(span, Some(truth), "{item}");
        }
    }

    #[test]
    fn other_spans_are_inside_the_truth() {
        for item in
            ["f(a)", "NOW()", "(a)", "(SELECT 1)", "NOT a", "-a", "a IS NULL", "CAST(a AS CHAR)", "a REGEXP b", "a 'b'"]
        {
            let (span, truth) = ranges(item);
            let inside = span.is_none_or(|span| span.start >= truth.start && span.end <= truth.end);
            assert!(inside, "{item}");
        }
    }
}
