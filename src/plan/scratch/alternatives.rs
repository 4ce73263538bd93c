//! What a condition says of single references: itself, where it is about one; or what all its alternatives say of it.

use sqlparser::ast::{BinaryOperator, Expr};

use super::condition::{Condition, Writer};
use crate::plan::shape::{RefId, bare};

/// Of a condition with more alternatives nothing is taken: each may be as long as the statement.
const MAX_ALTERNATIVES: usize = 64;

/// A condition whose columns are all of one reference.
#[derive(Debug, Clone)]
pub(super) struct OfOne {
    pub condition: Condition,
    pub table: RefId,
    /// It is not true for a row of NULLs.
    pub not_true: bool,
}

impl OfOne {
    /// The conditions of each reference joined by AND.
    fn by_table(conditions: Vec<Self>) -> Vec<Self> {
        let mut joined: Vec<Self> = Vec::new();
        for one in conditions {
            match joined.iter_mut().find(|known| known.table == one.table) {
                Some(known) => {
                    known.condition = known.condition.with(&BinaryOperator::And, &one.condition);
                    known.not_true |= one.not_true;
                }
                None => joined.push(one),
            }
        }
        joined
    }

    fn or(&self, other: &Self) -> Self {
        Self {
            condition: self.condition.with(&BinaryOperator::Or, &other.condition),
            table: self.table,
            not_true: self.not_true && other.not_true,
        }
    }
}

impl Writer<'_, '_> {
    /// What a condition says of single references: itself, where it is about one; else what its alternatives say of it.
    pub fn concerning(&mut self, expr: &Expr) -> Vec<OfOne> {
        match self.condition(expr) {
            Some(written) => vec![written],
            None => self.alternatives(expr),
        }
    }

    /// Of `(a.x = 1 AND b.y = 2) OR (a.x = 3 AND b.y = 4)`: what must be true of `a`, and what of `b`. A reference of
    /// which one of the alternatives says nothing may have any row.
    fn alternatives(&mut self, expr: &Expr) -> Vec<OfOne> {
        let legs = joined(expr, &BinaryOperator::Or);
        if legs.len() < 2 || legs.len() > MAX_ALTERNATIVES {
            return Vec::new();
        }
        let mut common: Vec<OfOne> = Vec::new();
        for (index, leg) in legs.into_iter().enumerate() {
            let said: Vec<OfOne> =
                joined(leg, &BinaryOperator::And).into_iter().flat_map(|part| self.concerning(part)).collect();
            let said = OfOne::by_table(said);
            if index == 0 {
                common = said;
                continue;
            }
            let both = common.into_iter().filter_map(|so_far| {
                let leg = said.iter().find(|leg| leg.table == so_far.table)?;
                Some(so_far.or(leg))
            });
            common = both.collect();
        }
        common
    }
}

/// What an operator joins, without the parentheses around it.
fn joined<'e>(expr: &'e Expr, operator: &BinaryOperator) -> Vec<&'e Expr> {
    let mut found = Vec::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match bare(expr) {
            Expr::BinaryOp { left, op, right } if op == operator => open.extend([&**right, &**left]),
            other => found.push(other),
        }
    }
    found
}
