//! DISTINCT: the shards sort by all columns, so that equal rows of several shards meet.

use super::key::{Clause, Key, is_descending};
use super::{Weave, refused};
use crate::merge::{KeyExpression, Pad, SortKey};
use crate::plan::error::PlanError;
use crate::sql::splice::Piece;

impl Weave<'_, '_> {
    /// Sorts by the keys of ORDER BY, then by all other columns.
    pub(super) fn distinct(&mut self) -> Result<(), PlanError> {
        let unknown = || refused("DISTINCT with a * of unknown columns");
        let count = self.outputs().map(<[_]>::len).ok_or_else(unknown)?;
        let mut sorted: Vec<usize> = Vec::new();
        let keys = self.order_keys()?;
        let ranges = self.clauses.order.clone();
        for (key, range) in keys.iter().zip(ranges) {
            let descending = is_descending(key);
            let Some(key) = self.key(&key.expr, range, Clause::Order)? else { continue };
            let position = key.position;
            let position =
                position.ok_or_else(|| refused("DISTINCT with an ORDER BY key that is not in the select list"))?;
            if !sorted.contains(&position) {
                let key = self.sort_key(&key, descending)?;
                self.spec.order.push(key);
                sorted.push(position);
            }
        }
        let mut rest = String::new();
        for position in (0..count).filter(|position| !sorted.contains(position)) {
            let key = self.output_key(position)?;
            let key = self.sort_key(&key, false)?;
            self.spec.order.push(key);
            if !rest.is_empty() {
                rest.push_str(", ");
            }
            rest.push_str(&(position + 1).to_string());
        }
        if !rest.is_empty() {
            self.add_order(vec![Piece::from(&*rest)]);
        }
        self.spec.distinct = true;
        // 'a' and 'a ' may be equal, but are told apart by their weights on the shards: these send both, and must not
        // take them for two rows of LIMIT
        self.limit_shards &= !self.tells_equal_texts_apart();
        Ok(())
    }

    /// Whether a hidden weight differs for texts that are equal but for spaces at their end.
    pub(super) fn tells_equal_texts_apart(&self) -> bool {
        let padded = |key: &SortKey| key.weight.as_ref().is_some_and(|weight| weight.pad != Pad::None);
        self.spec.order.iter().any(padded)
    }

    /// A column of the result as a key.
    fn output_key(&mut self, position: usize) -> Result<Key, PlanError> {
        if let Some(item) = self.items.iter().position(|item| item.position == Some(position)) {
            return self.item_key(item, 0..0);
        }
        let unknown = || refused("DISTINCT with a * of unknown columns");
        let output = self.outputs().and_then(|outputs| outputs.get(position)).ok_or_else(unknown)?;
        let column = output.column.ok_or_else(unknown)?;
        let form: KeyExpression = self.form_of_column(column)?;
        let text = self.column_text(column).ok_or_else(unknown)?;
        Ok(Key { position: Some(position), column: Some(column), text: vec![Piece::from(&*text)], range: 0..0, form })
    }

    /// Adds keys to the shards' ORDER BY, or begins one.
    pub(super) fn add_order(&mut self, keys: Vec<Piece>) {
        let (at, begin) = match &self.clauses.order_by {
            Some(order_by) => (order_by.end, ", "),
            None => (self.clauses.before_order, " ORDER BY "),
        };
        self.template.pieces(at..at, std::iter::once(Piece::from(begin)).chain(keys));
    }
}
