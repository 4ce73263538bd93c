//! Which sums can be put together from partial sums: those of values that are exactly what a server shows of them.
//!
//! A decimal quotient has more digits inside of a server than its declared scale shows, and SUM adds those up: a shard
//! shows its partial sum rounded, so that the rounded sums of several shards need not add up to the rounded sum of all.
//! Sums, differences and products of columns and literals have all of their digits in their scale.

use sqlparser::ast::{
    BinaryOperator, CaseWhen, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, UnaryOperator, Value,
};

use super::shape::{BlockId, Builder, ColumnId, RefKind, bare};
use crate::catalog::ColumnInfo;

/// The most digits behind the point that servers keep of a product (MySQL; MariaDB keeps 38).
const MAX_SCALE: u32 = 30;

/// What kind of number an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// An integer or a decimal, of which a server shows all digits.
    Exact {
        /// Digits behind the point.
        scale: u32,
        /// Some of its values are made with fewer digits: the branches of a CASE differ.
        mixed: bool,
    },
    /// A floating-point number.
    Double,
    /// A decimal of which a server knows more digits than it shows.
    Inexact,
}

impl Number {
    const INTEGER: Self = Self::Exact { scale: 0, mixed: false };

    /// One of two values is taken.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Double, _) | (_, Self::Double) => Self::Double,
            (Self::Inexact, _) | (_, Self::Inexact) => Self::Inexact,
            (Self::Exact { scale: one, mixed }, Self::Exact { scale: other, mixed: also }) => {
                Self::Exact { scale: one.max(other), mixed: mixed || also || one != other }
            }
        }
    }

    /// Both are computed with.
    fn with(self, other: Self, scale: impl Fn(u32, u32) -> u32) -> Self {
        match self.or(other) {
            Self::Exact { .. } => match (self, other) {
                (Self::Exact { scale: one, mixed }, Self::Exact { scale: other, mixed: also }) => {
                    let scale = scale(one, other);
                    if scale > MAX_SCALE { Self::Inexact } else { Self::Exact { scale, mixed: mixed || also } }
                }
                _ => Self::Inexact,
            },
            other => other,
        }
    }
}

impl Builder<'_> {
    /// What kind of number an expression of a block gives; `None` where that is not known.
    pub fn number(&mut self, expr: &Expr, block: BlockId) -> Option<Number> {
        match bare(expr) {
            name @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
                let column = self.resolve_expr(name, block)?;
                self.column_number(column)
            }
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => Some(of_literal(digits)),
                Value::Boolean(_) => Some(Number::INTEGER),
                Value::SingleQuotedString(_) | Value::DoubleQuotedString(_) => Some(Number::Double),
                _ => None,
            },
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => self.number(expr, block),
            Expr::UnaryOp { op: UnaryOperator::Not, .. }
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::Between { .. }
            | Expr::InList { .. }
            | Expr::Like { .. }
            | Expr::Extract { .. } => Some(Number::INTEGER),
            Expr::Floor { expr, .. } | Expr::Ceil { expr, .. } => match self.number(expr, block)? {
                Number::Exact { .. } | Number::Inexact => Some(Number::INTEGER),
                Number::Double => Some(Number::Double),
            },
            Expr::BinaryOp { left, op, right } => self.operation(left, op, right, block),
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|CaseWhen { result, .. }| result).chain(else_result.as_deref());
                let results: Vec<&Expr> = results.collect();
                self.any_of(&results, block)
            }
            Expr::Cast { data_type, .. } => match data_type {
                DataType::Signed | DataType::SignedInteger | DataType::Unsigned | DataType::UnsignedInteger => {
                    Some(Number::INTEGER)
                }
                DataType::Decimal(info) => Some(match info {
                    ExactNumberInfo::PrecisionAndScale(_, scale) => {
                        Number::Exact { scale: u32::try_from(*scale).ok()?, mixed: false }
                    }
                    _ => Number::INTEGER,
                }),
                DataType::Double(_) | DataType::Float(_) => Some(Number::Double),
                _ => None,
            },
            Expr::Function(function) => self.function_number(function, block),
            _ => None,
        }
    }

    /// What kind of number a column is.
    pub fn column_number(&self, column: ColumnId) -> Option<Number> {
        let column = &self.shape.columns[column];
        match &self.shape.refs[column.table].kind {
            RefKind::Table { info: Some(info), .. } => info.column(&column.name).and_then(|(_, info)| of(info)),
            RefKind::Table { info: None, .. } if self.context.assume_types => Some(Number::INTEGER),
            RefKind::Derived(inner) => {
                let outputs = self.shape.blocks[*inner].outputs.as_ref()?;
                outputs.iter().find(|output| output.name == column.name)?.number
            }
            _ => None,
        }
    }

    fn operation(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr, block: BlockId) -> Option<Number> {
        use BinaryOperator as Op;
        match op {
            Op::Plus | Op::Minus | Op::Multiply | Op::Modulo | Op::Divide => {}
            Op::MyIntegerDivide
            | Op::Eq
            | Op::NotEq
            | Op::Lt
            | Op::LtEq
            | Op::Gt
            | Op::GtEq
            | Op::Spaceship
            | Op::And
            | Op::Or
            | Op::Xor => return Some(Number::INTEGER),
            _ => return None,
        }
        let (left, right) = (self.number(left, block), self.number(right, block));
        Some(match (left, right) {
            (Some(Number::Double), _) | (_, Some(Number::Double)) => Number::Double,
            // of unknown operands too, unless one turns out to be a double
            _ if *op == Op::Divide => Number::Inexact,
            (Some(Number::Inexact), _) | (_, Some(Number::Inexact)) => Number::Inexact,
            (left, right) => match op {
                Op::Multiply => left?.with(right?, |one, other| one + other),
                _ => left?.with(right?, u32::max),
            },
        })
    }

    /// NULL takes the type of the others.
    fn any_of(&mut self, results: &[&Expr], block: BlockId) -> Option<Number> {
        let is_null = |expr: &&&Expr| matches!(bare(expr), Expr::Value(value) if value.value == Value::Null);
        let mut all: Option<Number> = None;
        for result in results.iter().filter(|expr| !is_null(expr)) {
            let number = self.number(result, block)?;
            all = Some(all.map_or(number, |all| all.or(number)));
        }
        all
    }

    fn function_number(&mut self, function: &Function, block: BlockId) -> Option<Number> {
        const INTEGERS: &[&str] = &[
            "ascii",
            "bit_count",
            "bit_length",
            "char_length",
            "character_length",
            "crc32",
            "datediff",
            "day",
            "dayofmonth",
            "dayofweek",
            "dayofyear",
            "field",
            "find_in_set",
            "hour",
            "instr",
            "isnull",
            "length",
            "locate",
            "minute",
            "month",
            "octet_length",
            "ord",
            "quarter",
            "second",
            "sign",
            "strcmp",
            "timestampdiff",
            "to_days",
            "to_seconds",
            "week",
            "weekday",
            "weekofyear",
            "year",
            "yearweek",
        ];
        const DOUBLES: &[&str] = &[
            "acos", "asin", "atan", "atan2", "cos", "cot", "degrees", "exp", "ln", "log", "log10", "log2", "pi", "pow",
            "power", "radians", "rand", "sin", "sqrt", "tan",
        ];
        let name = function.name.to_string().to_ascii_lowercase();
        let FunctionArguments::List(list) = &function.args else { return None };
        let mut arguments = Vec::new();
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr),
                _ => return None,
            }
        }
        match (name.as_str(), arguments.as_slice()) {
            (name, _) if INTEGERS.contains(&name) => Some(Number::INTEGER),
            (name, _) if DOUBLES.contains(&name) => Some(Number::Double),
            ("if" | "nvl2", [_, one, other]) => self.any_of(&[one, other], block),
            ("coalesce" | "ifnull" | "nvl" | "greatest" | "least", all) => self.any_of(all, block),
            ("nullif", [one, _]) | ("abs" | "sum" | "min" | "max", [one]) => self.number(one, block),
            ("count" | "bit_and" | "bit_or" | "bit_xor", _) => Some(Number::INTEGER),
            ("avg", [one]) => match self.number(one, block)? {
                Number::Double => Some(Number::Double),
                _ => Some(Number::Inexact),
            },
            ("mod", [one, other]) => self.operation(one, &BinaryOperator::Modulo, other, block),
            ("floor" | "ceil" | "ceiling", [one]) => match self.number(one, block)? {
                Number::Exact { .. } | Number::Inexact => Some(Number::INTEGER),
                Number::Double => Some(Number::Double),
            },
            ("round" | "truncate", [one, rest @ ..]) => {
                let digits = match rest {
                    [] => 0,
                    [digits] => match bare(digits) {
                        Expr::Value(value) => match &value.value {
                            Value::Number(digits, _) => digits.parse::<u32>().ok()?,
                            _ => return None,
                        },
                        _ => return None,
                    },
                    _ => return None,
                };
                match self.number(one, block)? {
                    Number::Exact { scale, mixed } => Some(Number::Exact { scale: scale.min(digits), mixed }),
                    other => Some(other),
                }
            }
            _ => None,
        }
    }
}

/// The kind of number that a column is where it is added up.
fn of(column: &ColumnInfo) -> Option<Number> {
    Some(match column.data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" | "bit" => Number::INTEGER,
        "decimal" => {
            let scale = column.column_type.split_once(',').and_then(|(_, rest)| rest.split_once(')'));
            let scale = scale.map_or(Some(0), |(scale, _)| scale.trim().parse().ok())?;
            Number::Exact { scale, mixed: false }
        }
        "float" | "double" => Number::Double,
        kind if kind.ends_with("char") || kind.ends_with("text") => Number::Double,
        _ => return None,
    })
}

fn of_literal(digits: &str) -> Number {
    if digits.contains(['e', 'E']) {
        return Number::Double;
    }
    let scale = digits.split_once('.').map_or(0, |(_, behind)| behind.len());
    u32::try_from(scale).map_or(Number::Inexact, |scale| Number::Exact { scale, mixed: false })
}
