//! From the tree back to the text.
//!
//! The parser is fed with tokens whose column is their byte offset plus one ([`super::tokens`]), so a span holds byte
//! offsets. A node without a span, or one that the pre-pass made, has an empty one.

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
