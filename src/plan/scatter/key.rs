//! Keys of ORDER BY, GROUP BY and DISTINCT: which column of the result they are, and how they are compared.

use std::ops::Range;

use sqlparser::ast::{Expr, OrderByExpr, OrderByKind, OrderBySort, Value};

use super::items::PLACE;
use super::{Weave, refused};
use crate::merge::{KeyExpression, SortKey, Weight};
use crate::plan::error::PlanError;
use crate::plan::shape::{ColumnId, RefKind, Shape, bare, has_query, names_in};
use crate::plan::types::PinnedLiteral;
use crate::sql::splice::Piece;

/// Whose names come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clause {
    /// ORDER BY: an alias before a column.
    Order,
    /// GROUP BY: a column before an alias.
    Group,
}

/// A key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Its place among the visible columns.
    pub position: Option<usize>,
    /// The column that it is.
    pub column: Option<ColumnId>,
    /// Its expression, as it can be written in the select list.
    pub text: Vec<Piece>,
    /// Where it is written.
    pub range: Range<usize>,
    /// How it is compared.
    pub form: KeyExpression,
}

impl Weave<'_, '_> {
    /// The keys of ORDER BY.
    pub(super) fn order_keys(&self) -> Result<Vec<OrderByExpr>, PlanError> {
        match self.query.order_by.as_ref().map(|order| &order.kind) {
            None => Ok(Vec::new()),
            Some(OrderByKind::Expressions(keys)) => Ok(keys.clone()),
            Some(OrderByKind::All(_)) => Err(refused("ORDER BY ALL")),
        }
    }

    /// Reads a key; nothing for a constant, which orders nothing.
    pub(super) fn key(&mut self, expr: &Expr, range: Range<usize>, clause: Clause) -> Result<Option<Key>, PlanError> {
        let expr = bare(expr);
        if has_query(expr) {
            return Err(refused("a subquery in ORDER BY or GROUP BY"));
        }
        if let Expr::Value(value) = expr {
            return match &value.value {
                Value::Number(digits, _) => self.ordinal(digits.parse().ok(), range).map(Some),
                _ => Ok(None),
            };
        }
        let column = self.builder.resolve_expr(expr, self.main);
        let alias = match expr {
            Expr::Identifier(name) => self
                .items
                .iter()
                .position(|item| item.alias.as_deref().is_some_and(|alias| alias.eq_ignore_ascii_case(&name.value))),
            _ => None,
        };
        match (alias, column, clause) {
            (Some(item), None, _) | (Some(item), _, Clause::Order) => self.item_key(item, range).map(Some),
            (Some(item), Some(column), Clause::Group) if self.items[item].column != Some(column) => {
                // the shards' ORDER BY would take the alias where GROUP BY takes the column
                Err(refused("a GROUP BY key whose name is also the alias of another item"))
            }
            (_, Some(column), _) => self.column_key(column, range).map(Some),
            (_, None, _) => self.expression_key(expr, range).map(Some),
        }
    }

    /// `ORDER BY 2`.
    fn ordinal(&mut self, number: Option<usize>, range: Range<usize>) -> Result<Key, PlanError> {
        self.pin(&range)?;
        let position = number.and_then(|number| number.checked_sub(1));
        let position = position.ok_or_else(|| refused("an ordinal that is no column"))?;
        if let Some(item) = self.items.iter().position(|item| item.position == Some(position)) {
            return self.item_key(item, range);
        }
        let output = self.outputs().and_then(|outputs| outputs.get(position));
        let column = output.and_then(|output| output.column);
        let column = column.ok_or_else(|| refused("an ordinal of a column that is not known"))?;
        let text = self.column_text(column).ok_or_else(|| refused("an ordinal of a column that is not known"))?;
        let form = self.form_of_column(column)?;
        Ok(Key { position: Some(position), column: Some(column), text: vec![Piece::from(&*text)], range, form })
    }

    /// A key that is an item of the select list.
    pub(super) fn item_key(&mut self, index: usize, range: Range<usize>) -> Result<Key, PlanError> {
        let item = self.items[index].clone();
        let form = match (item.column, self.expr_of(&item).cloned()) {
            (Some(column), _) => self.form_of_column(column)?,
            (None, Some(expr)) => self.form_of(&expr)?,
            (None, None) => KeyExpression::Itself,
        };
        let text = vec![Piece::Copy(item.range.clone())];
        Ok(Key { position: item.position, column: item.column, text, range, form })
    }

    fn column_key(&self, column: ColumnId, range: Range<usize>) -> Result<Key, PlanError> {
        let outputs = self.outputs().unwrap_or_default();
        let position = outputs.iter().position(|output| output.column == Some(column));
        // without a catalog the outputs of a `*` are not known, but the written items are
        let item = || self.items.iter().find(|item| item.column == Some(column)).and_then(|item| item.position);
        let form = self.form_of_column(column)?;
        let text = vec![Piece::Copy(range.clone())];
        Ok(Key { position: position.or_else(item), column: Some(column), text, range, form })
    }

    fn expression_key(&mut self, expr: &Expr, range: Range<usize>) -> Result<Key, PlanError> {
        let form = self.form_of(expr)?;
        let same = self.items.iter().find(|item| self.subject.same_text(&item.range, &range));
        let text = vec![Piece::Copy(range.clone())];
        if same.is_none() {
            let names = names_in(expr);
            let is_alias = |name: &String| {
                self.items.iter().any(|item| item.alias.as_ref().is_some_and(|alias| alias.eq_ignore_ascii_case(name)))
            };
            if names.iter().any(is_alias) {
                return Err(refused("an expression over an alias in ORDER BY or GROUP BY"));
            }
        }
        Ok(Key { position: same.and_then(|item| item.position), column: None, text, range, form })
    }

    /// How a column is compared.
    pub(super) fn form_of_column(&self, column: ColumnId) -> Result<KeyExpression, PlanError> {
        let Some((data_type, collation)) = type_of(&self.builder.shape, column) else {
            if self.subject.context.assume_types {
                return Ok(KeyExpression::Itself);
            }
            return Err(refused("ORDER BY, GROUP BY or DISTINCT on a column of unknown type"));
        };
        KeyExpression::for_column(&data_type, collation.as_deref()).map_err(of_merge)
    }

    /// How an expression is compared. What is surely a text is refused here; of the rest the type is seen in the result
    /// only, where the merge refuses texts without a weight.
    fn form_of(&mut self, expr: &Expr) -> Result<KeyExpression, PlanError> {
        match bare(expr) {
            Expr::Collate { collation, .. } => {
                KeyExpression::for_column("varchar", Some(&collation.to_string())).map_err(of_merge)
            }
            expr if self.is_text(expr) => {
                Err(refused("ORDER BY, GROUP BY or DISTINCT by an expression that gives a text"))
            }
            expr if has_query(expr) => Err(refused("ORDER BY, GROUP BY or DISTINCT by a subquery")),
            _ => Ok(KeyExpression::Itself),
        }
    }

    /// The sort key for rows that are not grouped, or whose groups are whole.
    pub(super) fn sort_key(&mut self, key: &Key, descending: bool) -> Result<SortKey, PlanError> {
        self.sort_key_as(key, descending, |text| text)
    }

    /// The sort key for groups: what is hidden must be the same for all rows of a group, so any of them will do.
    pub(super) fn group_key(&mut self, key: &Key, descending: bool) -> Result<SortKey, PlanError> {
        self.sort_key_as(key, descending, |text| format!("MIN({text})"))
    }

    fn sort_key_as(
        &mut self,
        key: &Key,
        descending: bool,
        wrap: impl Fn(String) -> String,
    ) -> Result<SortKey, PlanError> {
        let place = PLACE.to_string();
        match key.form.sql(&place) {
            None => {
                let column = match key.position {
                    Some(position) => position,
                    None => self.hide(self.around(&wrap(place), &key.text))?,
                };
                Ok(SortKey { column, weight: None, descending })
            }
            Some(template) => {
                let hidden = self.hide(self.around(&wrap(template), &key.text))?;
                let weight = Some(Weight { column: hidden, pad: key.form.pad() });
                Ok(SortKey { column: key.position.unwrap_or(hidden), weight, descending })
            }
        }
    }

    /// Makes the plan hold only for texts with this literal.
    fn pin(&mut self, range: &Range<usize>) -> Result<(), PlanError> {
        let index = crate::sql::literal::at_range(self.subject.literals, range.start, range.end);
        let index = index.ok_or_else(|| refused("an ordinal in parentheses"))?;
        let text = self.subject.sql.get(range.clone()).unwrap_or_default().into();
        self.pinned.push(PinnedLiteral { index, text });
        Ok(())
    }
}

/// Type and collation of a column.
pub(super) fn type_of(shape: &Shape, column: ColumnId) -> Option<(String, Option<String>)> {
    let known = shape.columns.get(column)?;
    match &shape.refs.get(known.table)?.kind {
        RefKind::Table { info: Some(info), .. } => {
            let found = info.columns.iter().find(|column| column.name.eq_ignore_ascii_case(&known.name))?;
            Some((found.data_type.to_string(), found.collation.as_deref().map(str::to_owned)))
        }
        RefKind::Derived(block) => {
            let outputs = shape.blocks[*block].outputs.as_ref()?;
            let output = outputs.iter().find(|output| output.name == known.name)?;
            match output.column {
                Some(column) => type_of(shape, column),
                // some number: of the types that compare as they are, the one of which least is certain
                None => output.is_number.then(|| ("double".to_owned(), None)),
            }
        }
        _ => None,
    }
}

/// Whether a key sorts downwards.
pub(super) fn is_descending(key: &OrderByExpr) -> bool {
    matches!(key.options.sort, Some(OrderBySort::Desc))
}

/// A refusal of the merge as one of the planner.
pub(super) fn of_merge(error: crate::merge::MergeError) -> PlanError {
    match error {
        crate::merge::MergeError::NotSupported { what, instead } => PlanError::not_supported(what, instead),
        _ => PlanError::Internal("the merge has no key for this column"),
    }
}
