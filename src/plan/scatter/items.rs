//! The select list: which column of the result is what, and the columns that the shards add behind.

use std::ops::Range;

use sqlparser::ast::{Expr, Ident, SelectItem};

use super::{Weave, refused};
use crate::plan::error::PlanError;
use crate::plan::shape::{ColumnId, Output, RefKind};
use crate::sql::splice::Piece;

/// An item of the select list.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The bytes of its expression, without the alias.
    pub range: Range<usize>,
    /// Its alias.
    pub alias: Option<String>,
    /// The column that it is.
    pub column: Option<ColumnId>,
    /// Its place in the result, if it is one column and what stands before it is known.
    pub position: Option<usize>,
    /// Its index in the written list.
    pub index: usize,
}

impl Weave<'_, '_> {
    /// Reads the select list.
    pub(super) fn read_items(&mut self) -> Result<(), PlanError> {
        let mut position = Some(0_usize);
        for (index, item) in self.select.projection.iter().enumerate() {
            let range = self.clauses.items.get(index).cloned();
            let range = range.ok_or(PlanError::Internal("the select list does not match its text"))?;
            let width = match item {
                SelectItem::UnnamedExpr(expr) => {
                    let column = self.builder.resolve_expr(expr, self.main);
                    self.items.push(Item { range, alias: None, column, position, index });
                    Some(1)
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let column = self.builder.resolve_expr(expr, self.main);
                    let range = self.without_alias(range, alias)?;
                    self.items.push(Item { range, alias: Some(alias.value.clone()), column, position, index });
                    Some(1)
                }
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                    self.wildcard = true;
                    self.builder.width(item, self.main)
                }
                SelectItem::ExprWithAliases { .. } => return Err(refused("several aliases of one item")),
            };
            // without a catalog the plan is only shown: a `*` is shown as one column
            let width = width.or_else(|| self.subject.context.assume_types.then_some(1));
            position = position.zip(width).map(|(position, width)| position + width);
        }
        self.visible = position;
        Ok(())
    }

    /// The bytes of an item without `[AS] alias`.
    fn without_alias(&self, range: Range<usize>, alias: &Ident) -> Result<Range<usize>, PlanError> {
        let start = self.subject.outline.alias_start(&range, alias).ok_or_else(PlanError::lost_place)?;
        let end = self.subject.outline.before_alias(self.subject.sql, start);
        Ok(range.start..end.ok_or_else(PlanError::lost_place)?)
    }

    /// The columns of the result, `*` replaced by what it stands for.
    pub(super) fn outputs(&self) -> Option<&[Output]> {
        self.builder.shape.blocks[self.main].outputs.as_deref()
    }

    /// The expression of an item.
    pub(super) fn expr_of(&self, item: &Item) -> Option<&Expr> {
        match self.select.projection.get(item.index)? {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        }
    }

    /// Adds a column to what the shards send; gives its place.
    pub(super) fn hide(&mut self, pieces: Vec<Piece>) -> Result<usize, PlanError> {
        let visible =
            self.visible.ok_or_else(|| refused("ORDER BY, GROUP BY or DISTINCT with a * of unknown columns"))?;
        let known = self.hidden.iter().position(|hidden| *hidden == pieces);
        Ok(visible
            + known.unwrap_or_else(|| {
                self.hidden.push(pieces);
                self.hidden.len() - 1
            }))
    }

    /// `prefix`, a range of the text, `suffix`.
    pub(super) fn around(&self, template: &str, text: &[Piece]) -> Vec<Piece> {
        let (prefix, suffix) = template.split_once(PLACE).unwrap_or((template, ""));
        let mut pieces = vec![Piece::from(prefix)];
        pieces.extend(text.iter().cloned());
        pieces.push(Piece::from(suffix));
        pieces.retain(|piece| *piece != Piece::from(""));
        pieces
    }

    /// A column of a `*`, by a name that is good in the shards' statements too.
    pub(super) fn column_text(&self, column: ColumnId) -> Option<String> {
        let column = self.builder.shape.columns.get(column)?;
        let reference = self.builder.shape.refs.get(column.table)?;
        let table = match reference.kind {
            RefKind::Function if reference.alias.is_none() => return None,
            _ => reference.visible_name(),
        };
        Some(format!("{}.{}", super::super::unit::quoted(table), super::super::unit::quoted(&column.name)))
    }
}

/// Where a column's text goes in a template of [`crate::merge::KeyExpression`].
pub(super) const PLACE: char = '\u{1}';
