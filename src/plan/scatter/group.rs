//! Aggregates: the shards give partial values, sorted by the group keys, that are put together.

use std::ops::Range;

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
};

use super::items::{Item, PLACE};
use super::key::{Clause, Key, is_descending, of_merge};
use super::{Weave, refused};
use crate::merge::{AggregateColumn, AggregateFunction, KeyExpression, SortKey, Weight};
use crate::plan::error::PlanError;
use crate::plan::exact::Number;
use crate::plan::functions::{FunctionKind, classify};
use crate::plan::shape::{ColumnId, bare, is_aggregated, is_constant};
use crate::sql::splice::Piece;

impl Weave<'_, '_> {
    /// The columns that each item, where it is a call, is called on. A DISTINCT aggregate over the whole sharding key may
    /// be added up: equal values meet on one shard.
    pub(super) fn item_arguments(&mut self) -> Vec<Vec<ColumnId>> {
        let mut all = Vec::with_capacity(self.items.len());
        for index in 0..self.items.len() {
            let mut columns = Vec::new();
            if let Some(Expr::Function(function)) = self.expr_of(&self.items[index]).map(bare).cloned() {
                for argument in arguments(&function) {
                    columns.extend(self.builder.resolve_expr(argument, self.main));
                }
            }
            all.push(columns);
        }
        all
    }

    /// Groups that lie on several shards.
    pub(super) fn group(&mut self, implicit: bool, whole: &[bool]) -> Result<(), PlanError> {
        self.check_having(implicit)?;
        if self.wildcard {
            return Err(refused("* with aggregates or GROUP BY"));
        }
        for index in 0..self.items.len() {
            let item = self.items[index].clone();
            self.group_item(&item, implicit, whole.get(index) == Some(&true))?;
        }
        let adds_up = |call: &Function, whole: bool| {
            let distinct = matches!(&call.args, FunctionArguments::List(list)
                if list.duplicate_treatment == Some(DuplicateTreatment::Distinct));
            let name = call.name.to_string().to_ascii_uppercase();
            !(distinct && whole && matches!(name.as_str(), "COUNT" | "SUM"))
        };
        if self.distinct_of.is_some()
            && !self.items.iter().enumerate().all(|(index, item)| match self.expr_of(item).map(bare) {
                Some(Expr::Function(call)) => adds_up(call, whole.get(index) == Some(&true)),
                _ => true,
            })
        {
            // of a group that the shards cut into smaller ones
            return Err(refused("several aggregates with DISTINCT"));
        }
        if !implicit {
            return self.group_keys();
        }
        if self.spec.aggregates.is_empty() {
            // the merge makes one row of the shards' only where it adds up a column of them
            return Err(refused("rows that become one by an aggregate in ORDER BY alone"));
        }
        // ORDER BY of the one row of an aggregate orders nothing
        Ok(())
    }

    fn group_item(&mut self, item: &Item, implicit: bool, whole: bool) -> Result<(), PlanError> {
        let expr = self.expr_of(item).cloned().ok_or(PlanError::Internal("an item without expression"))?;
        let position = item.position.ok_or(PlanError::Internal("an item without place"))?;
        match bare(&expr) {
            Expr::Function(function) if is_aggregate(function) => {
                let function = self.aggregate(function, item, implicit, whole)?;
                self.spec.aggregates.push(AggregateColumn { column: position, function });
                Ok(())
            }
            expr if is_aggregated(expr) => Err(refused("an expression over aggregates")),
            expr if implicit && !is_constant(expr) => Err(refused("a column beside aggregates without GROUP BY")),
            _ => Ok(()),
        }
    }

    fn aggregate(
        &mut self,
        call: &Function,
        item: &Item,
        implicit: bool,
        whole: bool,
    ) -> Result<AggregateFunction, PlanError> {
        let name = call.name.to_string().to_ascii_uppercase();
        let distinct = matches!(&call.args, FunctionArguments::List(list)
            if list.duplicate_treatment == Some(DuplicateTreatment::Distinct));
        if distinct && !matches!(name.as_str(), "MIN" | "MAX") {
            match name.as_str() {
                "COUNT" | "SUM" if whole => {}
                "COUNT" if !implicit => return self.count_distinct(call),
                _ => return Err(refused(&format!("{name}(DISTINCT …)"))),
            }
        }
        if matches!(name.as_str(), "SUM" | "AVG") {
            let inexact = |argument: &&Expr| self.builder.number(argument, self.main) == Some(Number::Inexact);
            if arguments(call).iter().any(inexact) {
                // the shards round what one server adds up with all digits
                return Err(refused(&format!("{name} of a quotient")));
            }
        }
        match name.as_str() {
            "COUNT" => Ok(AggregateFunction::Count),
            "SUM" => Ok(AggregateFunction::Sum),
            "BIT_AND" => Ok(AggregateFunction::BitAnd),
            "BIT_OR" => Ok(AggregateFunction::BitOr),
            "BIT_XOR" => Ok(AggregateFunction::BitXor),
            "MIN" => Ok(AggregateFunction::Min { weight: self.extreme("MIN", call, item)? }),
            "MAX" => Ok(AggregateFunction::Max { weight: self.extreme("MAX", call, item)? }),
            "AVG" => {
                let argument = vec![Piece::Copy(self.inside(item)?)];
                let sum_column = self.hide(self.around(&format!("SUM({PLACE})"), &argument))?;
                let count_column = self.hide(self.around(&format!("COUNT({PLACE})"), &argument))?;
                Ok(AggregateFunction::Avg { sum_column, count_column })
            }
            _ => Err(refused(&name)),
        }
    }

    /// COUNT(DISTINCT column): the shards group by the column too, so that it is counted where the groups are merged.
    fn count_distinct(&mut self, call: &Function) -> Result<AggregateFunction, PlanError> {
        let unclear = || refused("COUNT(DISTINCT …) of something else than one column");
        let [argument] = arguments(call)[..] else { return Err(unclear()) };
        let column = self.builder.resolve_expr(argument, self.main).ok_or_else(unclear)?;
        if self.builder.shape.blocks[self.main].group_columns.contains(&column) {
            return Err(refused("COUNT(DISTINCT …) of a GROUP BY key"));
        }
        if *self.distinct_of.get_or_insert(column) != column {
            return Err(refused("COUNT(DISTINCT …) of several columns"));
        }
        // which column of the shards' rows holds it is known when all others are
        Ok(AggregateFunction::CountDistinct { key: SortKey::ascending(usize::MAX) })
    }

    /// Adds what COUNT(DISTINCT …) counts to the keys of the groups; gives what the shards order by.
    fn group_by_distinct(&mut self, column: ColumnId) -> Result<Piece, PlanError> {
        let unknown = || refused("COUNT(DISTINCT …) of a column of unknown type");
        let text = self.column_text(column).ok_or_else(unknown)?;
        let form = self.form_of_column(column)?;
        let text = vec![Piece::from(&*text)];
        let key = Key { position: None, column: Some(column), text: text.clone(), range: 0..0, form };
        let sort = self.group_key(&key, false)?;
        for aggregate in &mut self.spec.aggregates {
            if let AggregateFunction::CountDistinct { key } = &mut aggregate.function {
                key.clone_from(&sort);
            }
        }
        self.spec.order.push(sort);
        let last = self.clauses.group.last().ok_or(PlanError::Internal("groups without a key"))?.end;
        self.template.pieces(last..last, std::iter::once(Piece::from(", ")).chain(text.clone()));
        // the first groups of a shard may be in many rows
        self.limit_shards = false;
        text.into_iter().next().ok_or_else(unknown)
    }

    /// The weight that MIN and MAX of some types need.
    fn extreme(&mut self, name: &str, call: &Function, item: &Item) -> Result<Option<Weight>, PlanError> {
        let [argument] = arguments(call)[..] else { return Err(refused(&format!("{name} of several arguments"))) };
        let form = match (self.builder.resolve_expr(argument, self.main), bare(argument)) {
            (Some(column), _) => self.form_of_column(column)?,
            (None, Expr::Collate { collation, .. }) => {
                KeyExpression::for_column("varchar", Some(&collation.to_string())).map_err(of_merge)?
            }
            (None, argument) if self.is_text(argument) => {
                return Err(refused(&format!("{name} of an expression that gives a text")));
            }
            // the merge sees the type in the result, and refuses what it cannot compare
            (None, _) => return Ok(None),
        };
        if form == KeyExpression::Index {
            return Err(refused(&format!("{name} of an ENUM or SET")));
        }
        let Some(template) = form.sql_of_extreme(name, &PLACE.to_string()) else { return Ok(None) };
        let text = [Piece::Copy(self.inside(item)?)];
        let column = self.hide(self.around(&template, &text))?;
        Ok(Some(Weight { column, pad: form.pad() }))
    }

    /// What stands between the parentheses of an item that is a call.
    fn inside(&self, item: &Item) -> Result<Range<usize>, PlanError> {
        let outline = &self.subject.outline;
        let lost = || PlanError::Internal("a call was not found");
        let sql = self.subject.sql;
        let first = outline.index_at(item.range.start);
        let tokens = outline.tokens();
        let open = (first..tokens.len()).find(|index| {
            let name = index.checked_sub(1).and_then(|before| tokens.get(before));
            tokens[*index].is_symbol(sql, b'(') && name.is_some_and(|name| !name.is_symbol(sql, b'(')) && *index > first
        });
        let open = open.ok_or_else(lost)?;
        let close = outline.closing(self.subject.sql, open).ok_or_else(lost)?;
        let (start, end) = (tokens[open].end, tokens[close].start);
        if end <= item.range.end { Ok(start..end) } else { Err(lost()) }
    }

    /// The shards sort by the group keys: first as ORDER BY says, then by the rest.
    fn group_keys(&mut self) -> Result<(), PlanError> {
        let groups = self.group_list()?;
        let mut used = vec![false; groups.len()];
        let orders = self.order_keys()?;
        for (order, range) in orders.iter().zip(self.clauses.order.clone()) {
            let Some(key) = self.key(&order.expr, range, Clause::Order)? else { continue };
            let found = groups.iter().position(|group| self.same_key(group, &key));
            let found =
                found.ok_or_else(|| refused("ORDER BY something else than a GROUP BY key, on groups that lie"))?;
            if !std::mem::replace(&mut used[found], true) {
                let group = groups[found].clone();
                let sort = self.group_key(&group, is_descending(order))?;
                self.spec.order.push(sort);
            }
        }
        let mut rest: Vec<Piece> = Vec::new();
        for (group, _) in groups.iter().zip(&used).filter(|(_, used)| !**used) {
            let sort = self.group_key(group, false)?;
            self.spec.order.push(sort);
            if !rest.is_empty() {
                rest.push(Piece::from(", "));
            }
            rest.push(Piece::Copy(group.range.clone()));
        }
        self.spec.group.clone_from(&self.spec.order);
        if let Some(column) = self.distinct_of {
            let key = self.group_by_distinct(column)?;
            if !rest.is_empty() {
                rest.push(Piece::from(", "));
            }
            rest.push(key);
        }
        if !rest.is_empty() {
            self.add_order(rest);
        }
        Ok(())
    }

    /// Whether an item or a key of ORDER BY holds an aggregate.
    pub(super) fn has_aggregates(&self) -> bool {
        let items = self.items.iter().filter_map(|item| self.expr_of(item));
        let orders = self.query.order_by.iter();
        items.into_iter().any(is_aggregated) || orders.into_iter().any(is_aggregated)
    }

    /// Whole groups without ORDER BY leave in the order of their keys, as MariaDB and older MySQL servers give them (which
    /// matters most under LIMIT), if the keys have an order that can be merged.
    pub(super) fn sort_by_groups(&mut self) {
        let before = (self.hidden.len(), self.spec.order.len(), self.pinned.len());
        let Ok(keys) = self.group_list() else { return };
        let mut pieces: Vec<Piece> = Vec::new();
        for key in &keys {
            let Ok(sort) = self.group_key(key, false) else {
                self.hidden.truncate(before.0);
                self.spec.order.truncate(before.1);
                self.pinned.truncate(before.2);
                return;
            };
            self.spec.order.push(sort);
            if !pieces.is_empty() {
                pieces.push(Piece::from(", "));
            }
            pieces.push(Piece::Copy(key.range.clone()));
        }
        // ORDER BY NULL asks for no order
        if self.clauses.order_by.is_none() && !pieces.is_empty() {
            self.add_order(pieces);
        } else {
            self.hidden.truncate(before.0);
            self.spec.order.truncate(before.1);
        }
    }

    /// The keys of GROUP BY.
    fn group_list(&mut self) -> Result<Vec<Key>, PlanError> {
        let GroupByExpr::Expressions(exprs, _) = self.select.group_by.clone() else {
            return Err(refused("GROUP BY ALL"));
        };
        let mut groups: Vec<Key> = Vec::new();
        for (expr, range) in exprs.iter().zip(self.clauses.group.clone()) {
            let key = self.key(expr, range, Clause::Group)?;
            groups.push(key.ok_or_else(|| refused("GROUP BY a constant"))?);
        }
        Ok(groups)
    }

    fn same_key(&self, one: &Key, other: &Key) -> bool {
        let same = |a: Option<usize>, b: Option<usize>| a.is_some() && a == b;
        same(one.position, other.position)
            || same(one.column, other.column)
            || (one.column.is_none() && other.column.is_none() && self.subject.same_text(&one.range, &other.range))
    }
}

/// Whether a function is an aggregate, called on plain arguments, which hold no aggregate themselves.
fn is_aggregate(function: &Function) -> bool {
    let kind = classify(&function.name.to_string(), 1);
    if kind != FunctionKind::Aggregate || arguments(function).into_iter().any(is_aggregated) {
        return false;
    }
    let plain = function.over.is_none()
        && function.filter.is_none()
        && function.within_group.is_empty()
        && function.null_treatment.is_none();
    plain && matches!(&function.args, FunctionArguments::List(_))
}

/// The arguments of a call that are expressions.
pub(super) fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let expressions = list.args.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    expressions.collect()
}
