//! Which conditions may be applied where a reference is read, and which locks are taken there.
//!
//! A condition that stands in WHERE, or in ON of an inner join, drops every row for which it is not true. So the rows of
//! the one reference that it is about may be left out beforehand. Where an outer join may put NULLs in place of those
//! rows, leaving one out can make such a row; the condition drops it too, if it is not true for NULLs.
//!
//! ON of an outer join decides which rows match: those of the side that may become NULLs can be left out, those of the
//! other side stay whatever it says.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, LockClause, LockType, NonBlock, Query, Select, SetExpr,
    TableFactor, TableWithJoins, Visit, Visitor,
};

use super::alternatives::OfOne;
use super::condition::{Condition, Writer};
use crate::plan::shape::{BlockId, Builder, RefId, bare};
use crate::sql::spans;

/// What is sent along where a reference is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Pushed {
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// `FOR UPDATE` and its kin.
    pub lock: Option<&'static str>,
}

/// The conditions and locks of all references, in the order of the references.
pub(super) fn pushed(builder: &mut Builder<'_>, statement: &impl Visit) -> Vec<Pushed> {
    let mut collector = Collector { pushed: vec![Pushed::default(); builder.shape.refs.len()], builder };
    let _ = statement.visit(&mut collector);
    collector.pushed
}

struct Collector<'b, 'a> {
    builder: &'b mut Builder<'a>,
    pushed: Vec<Pushed>,
}

impl Visitor for Collector<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for lock in &query.locks {
            self.lock(&query.body, lock);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        // an assignment counts how often it is evaluated
        if !self.builder.shape.met.assigns_variable
            && let Some(block) = self.block_of(select)
        {
            self.select(select, block);
        }
        ControlFlow::Continue(())
    }
}

/// Of which references a condition may leave out rows.
#[derive(Clone, Copy)]
enum Scope<'r> {
    /// Of all; of those that become NULLs if it is not true for NULLs.
    All,
    /// Of these, which the join at hand may fill with NULLs.
    NullableBy(&'r [RefId]),
}

impl Collector<'_, '_> {
    fn block_of(&self, select: &Select) -> Option<BlockId> {
        let at = spans::range_of(select.select_token.0.span)?.start;
        self.builder.shape.blocks.iter().position(|block| block.select_at == Some(at))
    }

    fn select(&mut self, select: &Select, block: BlockId) {
        if let Some(condition) = &select.selection {
            self.conjuncts(condition, Scope::All, block);
        }
        for item in &select.from {
            self.joins(item, block);
        }
    }

    fn joins(&mut self, item: &TableWithJoins, block: BlockId) {
        let mut left = self.refs_in(&item.relation, block);
        self.nested(&item.relation, block);
        for join in &item.joins {
            let right = self.refs_in(&join.relation, block);
            self.nested(&join.relation, block);
            self.join(join, &left, &right, block);
            left.extend(right);
        }
    }

    fn nested(&mut self, factor: &TableFactor, block: BlockId) {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            self.joins(table_with_joins, block);
        }
    }

    fn join(&mut self, join: &Join, left: &[RefId], right: &[RefId], block: BlockId) {
        use JoinOperator::{CrossJoin, Inner, Join, Left, LeftOuter, Right, RightOuter, StraightJoin};
        let (constraint, scope) = match &join.join_operator {
            Join(on) | Inner(on) | CrossJoin(on) | StraightJoin(on) => (on, Scope::All),
            Left(on) | LeftOuter(on) => (on, Scope::NullableBy(right)),
            Right(on) | RightOuter(on) => (on, Scope::NullableBy(left)),
            _ => return,
        };
        if let JoinConstraint::On(on) = constraint {
            self.conjuncts(on, scope, block);
        }
    }

    /// The tables in an item of FROM.
    fn refs_in(&self, factor: &TableFactor, block: BlockId) -> Vec<RefId> {
        match factor {
            TableFactor::Table { name, .. } => {
                let start = spans::range(name).map(|range| range.start);
                let refs = &self.builder.shape.refs;
                let is_it = |id: &RefId| Some(refs[*id].range.start) == start && !refs[*id].range.is_empty();
                self.builder.shape.blocks[block].refs.iter().copied().filter(is_it).collect()
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                let mut refs = self.refs_in(&table_with_joins.relation, block);
                refs.extend(table_with_joins.joins.iter().flat_map(|join| self.refs_in(&join.relation, block)));
                refs
            }
            _ => Vec::new(),
        }
    }

    fn conjuncts(&mut self, condition: &Expr, scope: Scope<'_>, block: BlockId) {
        if let Expr::BinaryOp { left, op: BinaryOperator::And, right } = bare(condition) {
            self.conjuncts(left, scope, block);
            self.conjuncts(right, scope, block);
            return;
        }
        let mut writer = Writer { builder: self.builder, block };
        for written in writer.concerning(condition) {
            self.push(written, scope);
        }
    }

    fn push(&mut self, written: OfOne, scope: Scope<'_>) {
        let OfOne { condition, table, not_true } = written;
        let nullable_by = self.builder.shape.refs[table].nullable_by.len();
        let may = match scope {
            Scope::All => nullable_by == 0 || not_true,
            // one of the joins that may put NULLs there is the one at hand
            Scope::NullableBy(refs) => refs.contains(&table) && (nullable_by == 1 || not_true),
        };
        if may {
            self.pushed[table].conditions.push(condition);
        }
    }

    fn lock(&mut self, body: &SetExpr, lock: &LockClause) {
        match body {
            SetExpr::Select(select) => {
                let Some(block) = self.block_of(select) else { return };
                for id in self.builder.shape.blocks[block].refs.clone() {
                    self.pushed[id].lock = Some(lock_text(lock));
                }
            }
            SetExpr::Query(query) => self.lock(&query.body, lock),
            SetExpr::SetOperation { left, right, .. } => {
                self.lock(left, lock);
                self.lock(right, lock);
            }
            _ => {}
        }
    }
}

pub(in crate::plan) fn lock_text(lock: &LockClause) -> &'static str {
    match (&lock.lock_type, &lock.nonblock) {
        (LockType::Update, None) => " FOR UPDATE",
        (LockType::Update, Some(NonBlock::Nowait)) => " FOR UPDATE NOWAIT",
        (LockType::Update, Some(NonBlock::SkipLocked)) => " FOR UPDATE SKIP LOCKED",
        // what both kinds of servers know
        (LockType::Share, None) => " LOCK IN SHARE MODE",
        (LockType::Share, Some(NonBlock::Nowait)) => " LOCK IN SHARE MODE NOWAIT",
        (LockType::Share, Some(NonBlock::SkipLocked)) => " LOCK IN SHARE MODE SKIP LOCKED",
    }
}
