//! Aggregates of outer queries: `SELECT (SELECT SUM(t.a)) FROM t` adds up over the rows of `t`, and gives one row.
//!
//! An aggregate belongs to the innermost query that a column of its arguments belongs to (*Aggregate Function
//! Descriptions*; ISO/IEC 9075-2, `<set function specification>`).

use sqlparser::ast::{Expr, Function};

use super::outside::outside_queries;
use super::{BlockId, Builder, Position};

impl Builder<'_> {
    /// Notes an aggregate that stands in a block: it may be one of a block further out.
    pub(super) fn note_aggregate(&mut self, function: &Function, block: BlockId) {
        if self.shape.blocks[block].parent.is_none() {
            return;
        }
        let mut owner: Option<BlockId> = None;
        for name in columns_of(function) {
            match self.owner_block(&name, block) {
                // as deep as can be: the aggregate is the block's own
                Some(own) if own == block => return,
                Some(outer) if owner.is_none_or(|known| self.shape.is_within(outer, known)) => owner = Some(outer),
                _ => {}
            }
        }
        if let Some(owner) = owner {
            self.aggregates_outside(owner);
        }
    }

    /// A block groups its rows though no aggregate of its own tells so.
    fn aggregates_outside(&mut self, owner: BlockId) {
        self.shape.met.outer_aggregate = true;
        if self.shape.blocks[owner].has_group_keys {
            return;
        }
        self.shape.blocks[owner].implicit_group = true;
        // what is computed once for all rows is so too where none passed WHERE
        for inner in &mut self.shape.blocks {
            if inner.parent == Some((owner, Position::Inline)) && inner.in_tail {
                inner.parent = Some((owner, Position::On));
            }
        }
    }

    /// The block that a column belongs to; where that is not certain, the innermost that it may belong to.
    fn owner_block(&self, column: &Expr, block: BlockId) -> Option<BlockId> {
        match column {
            Expr::CompoundIdentifier(parts) => {
                let (_, qualifier) = parts.split_last()?;
                self.qualified(qualifier, block).map(|table| self.shape.refs[table].block)
            }
            Expr::Identifier(name) => self.block_with(&name.value, block),
            _ => None,
        }
    }
}

/// The columns in the arguments of a function, without those in subqueries.
fn columns_of(function: &Function) -> Vec<Expr> {
    let mut columns = Vec::new();
    outside_queries(&function.args, |expr| {
        let is_column = match expr {
            Expr::Identifier(name) => !name.value.starts_with('@'),
            Expr::CompoundIdentifier(parts) => !parts[0].value.starts_with('@'),
            _ => false,
        };
        if is_column {
            columns.push(expr.clone());
        }
    });
    columns
}
