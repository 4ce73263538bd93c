//! Names of columns to the table references that they belong to.

use sqlparser::ast::{Expr, Ident};

use super::{BlockId, Builder, ColumnId, Position, RefId, RefKind};

/// Whether a reference has a column of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Has {
    Yes,
    No,
    Unknown,
}

impl Builder<'_> {
    /// The column that an expression is, if it is one and it is certain which.
    pub(in crate::plan) fn resolve_expr(&mut self, expr: &Expr, block: BlockId) -> Option<ColumnId> {
        let (table, name) = match super::facts::bare(expr) {
            Expr::Identifier(name) if !name.value.starts_with('@') => (self.owner(&name.value, block)?, name),
            Expr::CompoundIdentifier(parts) => {
                let (name, qualifier) = parts.split_last()?;
                (self.qualified(qualifier, block)?, name)
            }
            _ => return None,
        };
        Some(self.shape.column(table, &name.value))
    }

    /// The reference that a qualifier (`t` or `schema.t`) names, seen from a block.
    pub(in crate::plan) fn qualified(&self, qualifier: &[Ident], block: BlockId) -> Option<RefId> {
        let (schema, table) = match qualifier {
            [table] => (None, &table.value),
            [schema, table] => (Some(&schema.value), &table.value),
            _ => return None,
        };
        let mut scope = Some(block);
        while let Some(current) = scope {
            let refs = &self.shape.blocks[current].refs;
            let named = |exact: bool| {
                let mut matching = refs.iter().copied().filter(|id| {
                    let reference = &self.shape.refs[*id];
                    let visible = reference.visible_name();
                    let same = if exact { visible == table } else { visible.eq_ignore_ascii_case(table) };
                    same && schema.is_none_or(|schema| self.is_in_schema(*id, schema))
                });
                let first = matching.next();
                // two tables of one name in two schemas cannot be told apart by the name alone
                first.filter(|_| matching.next().is_none())
            };
            if let Some(found) = named(true).or_else(|| named(false)) {
                return Some(found);
            }
            scope = self.outer_scope(current);
        }
        None
    }

    fn is_in_schema(&self, id: RefId, schema: &str) -> bool {
        match &self.shape.refs[id].kind {
            RefKind::Table { place, .. } => place.schema().eq_ignore_ascii_case(schema),
            _ => false,
        }
    }

    /// The block whose columns a block can name too.
    fn outer_scope(&self, block: BlockId) -> Option<BlockId> {
        let (parent, position) = self.shape.blocks[block].parent?;
        match position {
            Position::Inline | Position::On | Position::Leg | Position::Lateral => Some(parent),
            // a derived table does not see its neighbours, but what its block sees from further out
            Position::Derived(_) | Position::Cte => self.outer_scope(parent),
        }
    }

    /// The reference that an unqualified column belongs to.
    fn owner(&self, name: &str, block: BlockId) -> Option<RefId> {
        let mut scope = Some(block);
        while let Some(current) = scope {
            let outer = self.outer_scope(current);
            match self.owner_in(name, current, outer.is_none()) {
                Ok(Some(owner)) => return Some(owner),
                Ok(None) => scope = outer,
                Err(Uncertain) => return None,
            }
        }
        None
    }

    /// The block that an unqualified column belongs to; where that is not certain, the innermost that it may belong to.
    pub(super) fn block_with(&self, name: &str, block: BlockId) -> Option<BlockId> {
        let mut scope = Some(block);
        while let Some(current) = scope {
            if !matches!(self.owner_in(name, current, false), Ok(None)) {
                return Some(current);
            }
            scope = self.outer_scope(current);
        }
        None
    }

    fn owner_in(&self, name: &str, block: BlockId, outermost: bool) -> Result<Option<RefId>, Uncertain> {
        let block = &self.shape.blocks[block];
        if let Some((_, side)) = block.joined_columns.iter().find(|(joined, _)| joined.eq_ignore_ascii_case(name)) {
            return Ok(Some(*side));
        }
        let has: Vec<(RefId, Has)> = block.refs.iter().map(|id| (*id, self.has_column(*id, name))).collect();
        let mut yes = has.iter().filter(|(_, has)| *has == Has::Yes);
        let unknown = has.iter().filter(|(_, has)| *has == Has::Unknown).count();
        match (yes.next(), yes.next(), unknown) {
            (Some((owner, _)), None, 0) => Ok(Some(*owner)),
            (None, _, 0) => Ok(None),
            // the only table there is: whose else could it be?
            (None, _, 1) if outermost && has.len() == 1 => Ok(Some(has[0].0)),
            _ => Err(Uncertain),
        }
    }

    fn has_column(&self, id: RefId, name: &str) -> Has {
        match &self.shape.refs[id].kind {
            RefKind::Table { info: Some(info), .. } => {
                let found = info.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
                if found { Has::Yes } else { Has::No }
            }
            RefKind::Derived(block) => match &self.shape.blocks[*block].outputs {
                Some(outputs) if outputs.iter().any(|output| output.name.eq_ignore_ascii_case(name)) => Has::Yes,
                Some(_) => Has::No,
                None => Has::Unknown,
            },
            RefKind::Table { info: None, .. } | RefKind::Cte | RefKind::Function => Has::Unknown,
        }
    }
}

/// The catalog does not know enough to say whose column it is.
struct Uncertain;
