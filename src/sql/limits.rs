//! Bounds on the shape of a statement, so that no text can exhaust a stack.
//!
//! The parser and all who walk its tree do so by recursion. Nesting is bounded by the parser; what it reads in a loop
//! (`1 + 1 + 1 …`) makes a tree as deep as the text is long, so that is bounded here, in the tokens. Chains of `AND`
//! and of `OR`, which programs do write by the thousand, are not: they are made into balanced trees.

use super::parse::ParseError;
use sqlparser::ast::{BinaryOperator, Expr, Value, VisitMut, VisitorMut};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::ops::ControlFlow;

/// How deep parentheses may be nested.
const PARENTHESES_LIMIT: usize = 256;
/// How many operators may follow each other without parentheses, commas, `AND` or `OR`.
const OPERATOR_CHAIN_LIMIT: usize = 1000;
/// How many queries `UNION` and its kin may connect, and how many tables may be joined, in one statement. A server
/// joins 61.
const QUERY_CHAIN_LIMIT: usize = 256;

/// Chains of `AND` or `OR` up to this length stay as the parser made them. A balanced tree has no longer ones.
const BALANCED_FROM: usize = 64;

/// Refuses what is too deep. Gives the number of joins.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<usize, ParseError> {
    let mut chains = vec![0_usize];
    let (mut joins, mut set_operators) = (0_usize, 0_usize);
    for token in tokens {
        match &token.token {
            Token::LParen => chains.push(0),
            Token::RParen => {
                chains.pop();
                if chains.is_empty() {
                    chains.push(0);
                }
            }
            Token::Comma => chains.iter_mut().last().into_iter().for_each(|chain| *chain = 0),
            Token::Word(word) => match word.keyword {
                Keyword::AND | Keyword::OR | Keyword::SELECT | Keyword::FROM | Keyword::WHERE => {
                    chains.iter_mut().last().into_iter().for_each(|chain| *chain = 0);
                }
                Keyword::JOIN | Keyword::STRAIGHT_JOIN => joins += 1,
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => set_operators += 1,
                Keyword::NoKeyword => {}
                // any keyword may be an operator: XOR, DIV, LIKE, IS, …
                _ => chains.iter_mut().last().into_iter().for_each(|chain| *chain += 1),
            },
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => {}
            _ => chains.iter_mut().last().into_iter().for_each(|chain| *chain += 1),
        }
        let too_deep = chains.len() > PARENTHESES_LIMIT
            || chains.last().is_some_and(|chain| *chain > OPERATOR_CHAIN_LIMIT)
            || joins > QUERY_CHAIN_LIMIT
            || set_operators > QUERY_CHAIN_LIMIT;
        if too_deep {
            return Err(ParseError::TooDeep);
        }
    }
    Ok(joins)
}

/// Makes chains of `AND` and chains of `OR` into balanced trees; both are associative.
pub(super) fn balance(tree: &mut impl VisitMut) {
    let _ = tree.visit(&mut Balance);
}

struct Balance;

impl VisitorMut for Balance {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(op) = associative(expr).filter(|op| spine(expr, op) > BALANCED_FROM) {
            *expr = tree(operands(take(expr), &op), &op);
        }
        ControlFlow::Continue(())
    }
}

fn associative(expr: &Expr) -> Option<BinaryOperator> {
    match expr {
        Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => Some(op.clone()),
        _ => None,
    }
}

/// How often an operator follows itself on the left side.
fn spine(mut expr: &Expr, op: &BinaryOperator) -> usize {
    let mut length = 0;
    while let Expr::BinaryOp { left, op: found, .. } = expr
        && found == op
    {
        expr = left;
        length += 1;
    }
    length
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.into()))
}

/// The operands of a chain that leans to the left.
fn operands(mut chain: Expr, op: &BinaryOperator) -> Vec<Expr> {
    let mut operands = Vec::new();
    loop {
        match chain {
            Expr::BinaryOp { left, op: found, right } if found == *op => {
                operands.push(*right);
                chain = *left;
            }
            first => {
                operands.push(first);
                operands.reverse();
                return operands;
            }
        }
    }
}

/// A balanced tree over operands in order; there is at least one.
fn tree(mut operands: Vec<Expr>, op: &BinaryOperator) -> Expr {
    while operands.len() > 1 {
        let mut pairs = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) },
                None => left,
            });
        }
        operands = pairs;
    }
    operands.pop().unwrap_or_else(|| Expr::Value(Value::Null.into()))
}
