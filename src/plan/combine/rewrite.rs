//! What an expression over groups becomes where the groups are rows of a table: its aggregates and its GROUP BY keys
//! are columns there. Whatever else depends on a row stands in the way.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{BinaryOperator, Expr, Ident, OrderByKind, Query, Select, Value, Visit, Visitor};

use super::layout::Layout;
use super::{Combiner, key_name};
use crate::plan::functions::{FunctionKind, classify};
use crate::plan::outline::Clauses;
use crate::plan::shape::bare;
use crate::sql::spans;
use crate::sql::splice::Piece;

/// Functions that see more of a column than its value.
const OF_COLUMNS: &[&str] = &["coercibility", "default", "grouping", "name_const", "values", "weight_string"];

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Item,
    Having,
    Order,
}

impl<'q> Combiner<'_, '_, 'q> {
    /// Notes what changes in the select list, in HAVING and in ORDER BY.
    pub(super) fn rewrite(&mut self, query: &Query, select: &Select, clauses: &Clauses, layout: &Layout) -> Option<()> {
        for index in 0..self.items.len() {
            let (expr, range) = (self.items[index].expr, self.items[index].range.clone());
            self.expression(expr, range, Place::Item)?;
        }
        if let Some(having) = &select.having {
            self.expression(having, layout.condition.clone(), Place::Having)?;
        }
        let orders = match query.order_by.as_ref().map(|order| &order.kind) {
            Some(OrderByKind::Expressions(orders)) => orders.as_slice(),
            Some(OrderByKind::All(_)) => return None,
            None => &[],
        };
        if orders.len() != clauses.order.len() {
            return None;
        }
        for (order, range) in orders.iter().zip(&clauses.order) {
            match bare(&order.expr) {
                Expr::Value(value) if matches!(value.value, Value::Number(..) | Value::Null) => {}
                // a number in its place would be that of a column
                Expr::Value(_) => return None,
                Expr::Identifier(name) if self.aliased(&name.value).is_some() => {}
                expr => self.expression(expr, range.clone(), Place::Order)?,
            }
        }
        Some(())
    }

    /// The item of an alias.
    fn aliased(&self, name: &str) -> Option<usize> {
        self.items.iter().position(|item| item.alias.is_some_and(|alias| alias.eq_ignore_ascii_case(name)))
    }

    fn expression(&mut self, expr: &Expr, range: Range<usize>, place: Place) -> Option<()> {
        let before = self.edits.len();
        let keys = self.keys.len();
        let mut rewriter = Rewriter { combiner: self, place, root: bare(expr), skipped: 0, found: vec![0; keys] };
        if expr.visit(&mut rewriter).is_break() {
            return None;
        }
        let found = rewriter.found;
        for (key, count) in found.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let places = self.places_of(key, &range, before);
            if places.len() != count {
                return None;
            }
            self.edits.extend(places.into_iter().map(|place| (place, vec![Piece::from(&*key_name(key))])));
        }
        Some(())
    }

    /// Where a key's expression stands in a range, outside of what is replaced already.
    fn places_of(&self, key: usize, range: &Range<usize>, before: usize) -> Vec<Range<usize>> {
        let outline = &self.subject.outline;
        let key = &self.keys[key].range;
        let pattern = outline.within(key);
        let tokens = outline.within(range);
        let replaced = |place: &Range<usize>| {
            self.edits[before..].iter().any(|(edit, _)| edit.start <= place.start && place.end <= edit.end)
        };
        let mut places = Vec::new();
        let mut at = 0;
        while let Some(window) = tokens.get(at..at + pattern.len()).filter(|window| !window.is_empty()) {
            let place = window[0].start..window[window.len() - 1].end;
            if self.subject.same_text(key, &place) && !replaced(&place) {
                places.push(place);
                at += pattern.len();
            } else {
                at += 1;
            }
        }
        places
    }
}

struct Rewriter<'r, 'c, 'a, 'q> {
    combiner: &'r mut Combiner<'c, 'a, 'q>,
    place: Place,
    root: &'r Expr,
    /// How deep in an expression that is replaced as a whole.
    skipped: usize,
    /// How often each key stands there, that is no column.
    found: Vec<usize>,
}

impl Visitor for Rewriter<'_, '_, '_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.skipped > 0 {
            self.skipped += 1;
            return ControlFlow::Continue(());
        }
        match self.replaced(expr) {
            Some(true) => self.skipped = 1,
            Some(false) => {}
            None => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.skipped = self.skipped.saturating_sub(1);
        ControlFlow::Continue(())
    }
}

impl Rewriter<'_, '_, '_, '_> {
    /// Whether an expression is replaced as a whole; `None` if it stands in the way.
    fn replaced(&mut self, expr: &Expr) -> Option<bool> {
        let is_key = |key: &super::Key<'_>| key.column.is_none() && bare(key.expr) == expr;
        if let Some(key) = self.combiner.keys.iter().position(is_key) {
            self.found[key] += 1;
            return Some(true);
        }
        match expr {
            Expr::Function(function) => {
                let name = function.name.to_string();
                if classify(&name, 1) != FunctionKind::Aggregate {
                    // they tell JSON documents from texts and truth values from numbers, which a column does not keep
                    let is_json = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("json_"));
                    let sees = is_json || OF_COLUMNS.iter().any(|one| name.eq_ignore_ascii_case(one));
                    return (!sees && function.over.is_none()).then_some(false);
                }
                let name = spans::range(&function.name)?;
                let range = self.combiner.subject.outline.call_range(self.combiner.subject.sql, name)?;
                let is_root = std::ptr::eq(self.root, expr);
                // items and what is sorted by are columns of a temporary table on one server too
                if !(is_root && self.place != Place::Having) && self.combiner.is_finer_than_its_column(function) {
                    return None;
                }
                let alone = self.place == Place::Item && is_root;
                let text = self.combiner.aggregate(function, &range, alone)?;
                self.combiner.edits.push((range, vec![Piece::from(&*text)]));
                Some(true)
            }
            Expr::Identifier(name) if name.value.starts_with('@') && name.quote_style.is_none() => Some(false),
            Expr::Identifier(name) => self.name(expr, name).map(|()| true),
            Expr::CompoundIdentifier(parts) if parts[0].value.starts_with('@') => Some(false),
            Expr::CompoundIdentifier(_) => self.column(expr).map(|()| true),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Divide | BinaryOperator::Modulo | BinaryOperator::MyIntegerDivide,
                right,
            } => {
                self.combiner.divides = true;
                let divides = self.combiner.divides_alike(left, true) && self.combiner.divides_alike(right, false);
                divides.then_some(false)
            }
            Expr::MatchAgainst { .. } => None,
            _ => Some(false),
        }
    }

    fn name(&mut self, expr: &Expr, name: &Ident) -> Option<()> {
        let Some(item) = self.combiner.aliased(&name.value) else { return self.column(expr) };
        let column = self.combiner.builder.resolve_expr(expr, self.combiner.main);
        match (self.place, column) {
            // the alias and the column are the same
            (_, Some(column)) if self.combiner.items[item].column == Some(column) => self.column(expr),
            (Place::Having, None) => {
                let twice = self.combiner.items.iter().skip(item + 1);
                if twice.into_iter().any(|other| other.alias.is_some_and(|a| a.eq_ignore_ascii_case(&name.value))) {
                    return None;
                }
                let of_item = Piece::Copy(self.combiner.items[item].range.clone());
                let pieces = vec![Piece::from("("), of_item, Piece::from(")")];
                self.combiner.edits.push((spans::range(expr)?, pieces));
                Some(())
            }
            (Place::Item, Some(_)) => self.column(expr),
            _ => None,
        }
    }

    fn column(&mut self, expr: &Expr) -> Option<()> {
        let column = self.combiner.builder.resolve_expr(expr, self.combiner.main)?;
        let key = self.combiner.keys.iter().position(|key| key.column == Some(column))?;
        self.combiner.edits.push((spans::range(expr)?, vec![Piece::from(&*key_name(key))]));
        Some(())
    }
}
