//! `column IN (…)` in WHERE and ON: lists of constants that each shard needs a part of only.

use std::ops::Range;

use sqlparser::ast::Expr;

use super::outside::outside_queries;
use super::{BlockId, Builder, ColumnId};
use crate::route::source::Source;

/// A list of constants that a column is compared with.
#[derive(Debug, Clone)]
pub(crate) struct ConstantList {
    /// The column.
    pub column: ColumnId,
    /// From the first constant to the end of the last one.
    pub range: Range<usize>,
    /// Each constant, and its bytes.
    pub constants: Vec<(Source, Range<usize>)>,
}

impl Builder<'_> {
    /// Notes the lists in a condition, negated or not, wherever in it they stand. Subqueries note their own.
    pub(super) fn note_lists(&mut self, condition: &Expr, block: BlockId) {
        outside_queries(condition, |expr| {
            if let Expr::InList { expr, list, .. } = expr
                && let Some(list) = self.constant_list(expr, list, block)
            {
                self.shape.lists.push(list);
            }
        });
    }

    fn constant_list(&mut self, expr: &Expr, list: &[Expr], block: BlockId) -> Option<ConstantList> {
        if list.len() < 2 {
            return None;
        }
        let column = self.resolve_expr(expr, block)?;
        let constants: Vec<(Source, Range<usize>)> =
            list.iter().map(|value| self.written_constant(value)).collect::<Option<_>>()?;
        let range = constants.first()?.1.start..constants.last()?.1.end;
        Some(ConstantList { column, range, constants })
    }

    /// A literal (with its sign) or parameter that is a whole member of a list, and where it stands.
    fn written_constant(&self, value: &Expr) -> Option<(Source, Range<usize>)> {
        let source = self.source(value);
        let (start, end) = match &source {
            Source::Literal { index, .. } => {
                let literal = self.literals.get(*index as usize)?;
                (literal.start as usize, literal.end as usize)
            }
            Source::Param(number) => {
                let start = *self.outline.params().get(*number as usize)?;
                (start, start + 1)
            }
            _ => return None,
        };
        let tokens = self.outline.tokens();
        let is = |index: usize, symbol| tokens.get(index).is_some_and(|token| token.is_symbol(self.sql, symbol));
        let mut first = self.outline.index_at(start);
        let next = self.outline.index_at(end);
        let before = |index: usize| index.checked_sub(1);
        if before(first).is_some_and(|sign| is(sign, b'-') || is(sign, b'+')) {
            first -= 1;
        }
        let opened = before(first).is_some_and(|index| is(index, b'(') || is(index, b','));
        let closed = is(next, b')') || is(next, b',');
        (opened && closed).then(|| (source, tokens[first].start..end))
    }
}
