//! Conditions as facts: what a WHERE or ON makes certain about columns.
//!
//! A fact may say less than the condition, never more. Every fact is *strict*: it is not true when a column that it
//! names is NULL. That is what makes it usable for tables on the nullable side of an outer join (see `usable`).

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

use super::{BlockId, Builder, ColumnId};
use crate::route::source::{Arithmetic, Operation, Source};

/// How a column is compared with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    /// `<=>`: with a NULL on the right it says nothing here.
    NullSafeEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn of(operator: &BinaryOperator) -> Option<Self> {
        Some(match operator {
            BinaryOperator::Eq => Self::Equal,
            BinaryOperator::Spaceship => Self::NullSafeEqual,
            BinaryOperator::Lt => Self::Less,
            BinaryOperator::LtEq => Self::LessOrEqual,
            BinaryOperator::Gt => Self::Greater,
            BinaryOperator::GtEq => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// The comparison with its sides exchanged.
    fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    /// What `NOT (a ? b)` is where neither is NULL; where one is, neither form is true.
    fn negated(operator: &BinaryOperator) -> Option<Self> {
        Some(match operator {
            BinaryOperator::NotEq => Self::Equal,
            BinaryOperator::Lt => Self::GreaterOrEqual,
            BinaryOperator::LtEq => Self::Greater,
            BinaryOperator::Gt => Self::LessOrEqual,
            BinaryOperator::GtEq => Self::Less,
            _ => return None,
        })
    }
}

/// What is certain.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    /// Nothing.
    Unknown,
    /// A column compares so with a constant.
    Compare { column: ColumnId, comparison: Comparison, value: Source, of_rows: bool },
    /// A column equals one of these.
    In { column: ColumnId, values: Vec<Source> },
    /// Two columns are equal.
    Same(ColumnId, ColumnId),
    /// A constant is true: `WHERE 0` is not.
    Truth(Source),
    /// Two constants compare so.
    Constants { left: Source, comparison: Comparison, right: Source },
    /// All of these.
    All(Vec<Fact>),
    /// At least one of these.
    Any(Vec<Fact>),
}

impl Fact {
    /// The columns without which the fact cannot be true: if one of them is NULL, it is not.
    pub fn strict_columns(&self, found: &mut Vec<ColumnId>) {
        match self {
            Self::Compare { comparison: Comparison::NullSafeEqual, .. } => {}
            Self::Compare { column, .. } | Self::In { column, .. } => found.push(*column),
            Self::Same(left, right) => found.extend([*left, *right]),
            Self::All(facts) => facts.iter().for_each(|fact| fact.strict_columns(found)),
            // each leg may be about other columns
            Self::Any(_) | Self::Unknown | Self::Truth(_) | Self::Constants { .. } => {}
        }
    }
}

/// The facts that are joined by AND at the top.
pub(super) fn conjuncts(fact: Fact, into: &mut Vec<Fact>) {
    match fact {
        Fact::All(facts) => facts.into_iter().for_each(|fact| conjuncts(fact, into)),
        Fact::Unknown => {}
        fact => into.push(fact),
    }
}

/// An expression without the parentheses around it.
pub(crate) fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

impl Builder<'_> {
    /// What is certain where `expr` is true (or, if `negated`, where `NOT expr` is true).
    pub(super) fn fact(&mut self, expr: &Expr, negated: bool, block: BlockId) -> Fact {
        match bare(expr) {
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => self.fact(expr, !negated, block),
            // `e IS TRUE` is true where e is; `e IS FALSE` where NOT e is
            Expr::IsTrue(inner) if !negated => self.fact(inner, false, block),
            Expr::IsFalse(inner) if !negated => self.fact(inner, true, block),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                let both = vec![self.fact(left, negated, block), self.fact(right, negated, block)];
                if negated { either(both) } else { Fact::All(both) }
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                let both = vec![self.fact(left, negated, block), self.fact(right, negated, block)];
                if negated { Fact::All(both) } else { either(both) }
            }
            Expr::BinaryOp { left, op, right } => self.comparison(left, op, right, negated, block),
            Expr::Between { expr, negated: not, low, high } => {
                if !self.compares_bounds_alone(expr, low, high, block) {
                    return Fact::Unknown;
                }
                let (low_op, high_op) = (BinaryOperator::GtEq, BinaryOperator::LtEq);
                let both = vec![
                    self.comparison(expr, &low_op, low, negated != *not, block),
                    self.comparison(expr, &high_op, high, negated != *not, block),
                ];
                if negated != *not { any(both) } else { Fact::All(both) }
            }
            Expr::InList { expr, list, negated: not } if *not == negated => self.in_list(expr, list, block),
            other if !negated => match self.source(other) {
                Source::Unknown => Fact::Unknown,
                known => Fact::Truth(known),
            },
            _ => Fact::Unknown,
        }
    }

    fn comparison(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr, negated: bool, block: BlockId) -> Fact {
        let comparison = if negated { Comparison::negated(op) } else { Comparison::of(op) };
        let Some(comparison) = comparison else { return Fact::Unknown };
        match (bare(left), bare(right)) {
            (Expr::Tuple(left), Expr::Tuple(right)) if comparison == Comparison::Equal && left.len() == right.len() => {
                // NOT of a row comparison cannot arrive here: NOT (a, b) <> (c, d) says that all are equal
                let pairs = left.iter().zip(right);
                Fact::All(pairs.map(|(l, r)| self.simple_comparison(l, comparison, r, true, block)).collect())
            }
            (left, right) => self.simple_comparison(left, comparison, right, false, block),
        }
    }

    fn simple_comparison(
        &mut self,
        left: &Expr,
        comparison: Comparison,
        right: &Expr,
        of_rows: bool,
        block: BlockId,
    ) -> Fact {
        match (self.resolve_expr(left, block), self.resolve_expr(right, block)) {
            (Some(left), Some(right)) if comparison == Comparison::Equal => Fact::Same(left, right),
            (Some(column), None) => match self.source(right) {
                Source::Unknown => Fact::Unknown,
                value => Fact::Compare { column, comparison, value, of_rows },
            },
            (None, Some(column)) => match self.source(left) {
                Source::Unknown => Fact::Unknown,
                value => Fact::Compare { column, comparison: comparison.turned(), value, of_rows },
            },
            (None, None) => match (self.source(left), self.source(right)) {
                (Source::Unknown, _) | (_, Source::Unknown) => Fact::Unknown,
                (left, right) => Fact::Constants { left, comparison, right },
            },
            _ => Fact::Unknown,
        }
    }

    fn in_list(&mut self, expr: &Expr, list: &[Expr], block: BlockId) -> Fact {
        if let Expr::Tuple(_) = bare(expr) {
            let rows = list.iter().map(|row| self.comparison(expr, &BinaryOperator::Eq, row, false, block));
            return any(rows.collect());
        }
        let Some(column) = self.resolve_expr(expr, block) else { return Fact::Unknown };
        let values: Vec<Source> = list.iter().map(|value| self.source(value)).collect();
        if values.contains(&Source::Unknown) { Fact::Unknown } else { Fact::In { column, values } }
    }

    /// A constant, if the expression is one that can be evaluated exactly.
    pub(super) fn source(&self, expr: &Expr) -> Source {
        match bare(expr) {
            Expr::Value(value) => self.value(value),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match self.source(expr) {
                Source::Literal { index, negative } if self.is_number(index) => {
                    Source::Literal { index, negative: !negative }
                }
                _ => Source::Unknown,
            },
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => self.source(expr),
            Expr::BinaryOp { left, op, right } => {
                let operation = match op {
                    BinaryOperator::Plus => Operation::Add,
                    BinaryOperator::Minus => Operation::Subtract,
                    BinaryOperator::Multiply => Operation::Multiply,
                    _ => return Source::Unknown,
                };
                match (self.source(left), self.source(right)) {
                    (Source::Unknown, _) | (_, Source::Unknown) => Source::Unknown,
                    (left, right) => Source::Arithmetic(Box::new(Arithmetic { operation, left, right })),
                }
            }
            _ => Source::Unknown,
        }
    }
}

/// OR of conditions: what each of them says by itself, and the columns that are equal whichever is true.
fn either(facts: Vec<Fact>) -> Fact {
    let mut same = facts.first().map(sames).unwrap_or_default();
    same.retain(|pair| facts.iter().all(|fact| sames(fact).contains(pair)));
    let mut all = vec![any(facts)];
    all.extend(same.into_iter().map(|(low, high)| Fact::Same(low, high)));
    if all.len() == 1 { all.remove(0) } else { Fact::All(all) }
}

/// The columns that a fact makes equal, the lower one of each pair first.
fn sames(fact: &Fact) -> Vec<(ColumnId, ColumnId)> {
    match fact {
        Fact::Same(left, right) => vec![(*left.min(right), *left.max(right))],
        Fact::All(facts) => facts.iter().flat_map(sames).collect(),
        _ => Vec::new(),
    }
}

/// OR: a leg of which nothing is known makes the whole unknown.
fn any(facts: Vec<Fact>) -> Fact {
    if facts.contains(&Fact::Unknown) { Fact::Unknown } else { Fact::Any(facts) }
}
