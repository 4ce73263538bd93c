//! Conditions that concern one table reference alone, written anew for its shards.
//!
//! Only what is listed here is written: each kind of expression means the same on the shards as where it stands, and
//! what is left out reaches the shards as no condition at all.

use sqlparser::ast::{
    BinaryOperator, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Interval,
    ObjectNamePart, TimezoneInfo, TypedString, UnaryOperator, Value, ValueWithSpan,
};

use super::alternatives::OfOne;
use super::table::quoted;
use crate::catalog::ColumnInfo;
use crate::plan::shape::{BlockId, Builder, RefId, RefKind, bare};
use crate::route::key::RawValue;
use crate::route::values::Values;
use crate::sql::literal::at_range;
use crate::sql::{LiteralKind, spans};

/// A number of so many digits stays far from the ends of what servers compute with.
const SMALL_DIGITS: usize = 9;
/// What takes a part of a text, at places that are given.
const CUTS: &[&str] = &["LEFT", "RIGHT", "SUBSTR", "SUBSTRING", "MID"];
/// What takes a part of a date.
const PARTS_OF_DATES: &[&str] = &["YEAR", "QUARTER", "MONTH", "DAYOFMONTH", "DAY", "DATE"];
/// The product of two DECIMALs of so many digits is one.
const SMALL_DECIMAL: usize = 30;

/// A condition of one reference, in the names of its own columns.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    parts: Vec<Part>,
    /// The share of rows that it is guessed to leave.
    pub(super) share: f64,
    /// Columns that it names.
    columns: Vec<String>,
    /// How many operators compute in it.
    operators: usize,
}

#[derive(Debug, Clone)]
enum Part {
    Text(Box<str>),
    /// A literal of the statement.
    Literal(usize),
    /// A parameter.
    Param(u32),
}

impl Condition {
    fn new(share: f64) -> Self {
        Self { parts: Vec::new(), share, columns: Vec::new(), operators: 0 }
    }

    /// Whether it names a column, in any case.
    pub fn names(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name.eq_ignore_ascii_case(column))
    }

    /// Writes it with the values of one execution; false if a parameter cannot be written as a literal.
    pub fn write(&self, values: &Values<'_>, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        for part in &self.parts {
            let written = match part {
                Part::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    true
                }
                Part::Literal(index) => {
                    let literal = values.literals.get(*index);
                    out.extend_from_slice(literal.map(|literal| literal.bytes(values.sql)).unwrap_or_default());
                    literal.is_some()
                }
                Part::Param(number) => write_param(values, *number, out),
            };
            if !written {
                out.truncate(start);
                return false;
            }
        }
        true
    }

    /// Both, joined by AND or OR.
    pub(super) fn with(&self, operator: &BinaryOperator, other: &Self) -> Self {
        let share = joined_share(operator, self.share, other.share);
        let mut both = Self { operators: self.operators + other.operators, ..Self::new(share) };
        both.text("(");
        both.append(self);
        both.text(if *operator == BinaryOperator::Or { " OR " } else { " AND " });
        both.append(other);
        both.text(")");
        both
    }

    fn append(&mut self, other: &Self) {
        for part in &other.parts {
            match part {
                Part::Text(text) => self.text(text),
                other => self.parts.push(other.clone()),
            }
        }
        self.columns.extend_from_slice(&other.columns);
    }

    fn text(&mut self, text: &str) {
        if let Some(Part::Text(last)) = self.parts.last_mut() {
            *last = format!("{last}{text}").into();
        } else {
            self.parts.push(Part::Text(text.into()));
        }
    }
}

/// A parameter as a literal that compares as the parameter does.
pub(crate) fn write_param(values: &Values<'_>, number: u32, out: &mut Vec<u8>) -> bool {
    match values.params.get(number as usize) {
        // a plan that is only shown has no parameters
        None if values.params.is_empty() => out.extend_from_slice(format!("?{}", number + 1).as_bytes()),
        Some(RawValue::Null) => out.extend_from_slice(b"NULL"),
        // LIMIT takes no parentheses
        Some(RawValue::Int(value)) if *value >= 0 => out.extend_from_slice(value.to_string().as_bytes()),
        Some(RawValue::Int(value)) => out.extend_from_slice(format!("({value})").as_bytes()),
        Some(RawValue::Decimal(text)) => out.extend_from_slice(format!("({text})").as_bytes()),
        Some(RawValue::Float(value)) if value.is_finite() => out.extend_from_slice(format!("({value:e})").as_bytes()),
        Some(RawValue::Text(text)) if values.utf8 && std::str::from_utf8(text).is_ok() => {
            out.push(b'\'');
            for byte in text.iter() {
                if *byte == b'\'' || (*byte == b'\\' && !values.mode.no_backslash_escapes) {
                    out.push(*byte);
                }
                out.push(*byte);
            }
            out.push(b'\'');
        }
        _ => return false,
    }
    true
}

/// Writes conditions of a block for one reference.
pub(super) struct Writer<'w, 'a> {
    pub builder: &'w mut Builder<'a>,
    pub block: BlockId,
}

/// What a written expression is like.
#[derive(Clone, Copy)]
struct Written {
    /// The value is NULL where all columns of the reference are.
    null_with_columns: bool,
    /// It is not true where all columns of the reference are NULL.
    not_true: bool,
}

impl Written {
    const PLAIN: Self = Self { null_with_columns: false, not_true: false };
}

impl Writer<'_, '_> {
    /// The condition of one reference; `None` if it is of several, of none, or cannot be written.
    pub(super) fn condition(&mut self, expr: &Expr) -> Option<OfOne> {
        let mut condition = Condition::new(share_of(expr));
        let mut table = None;
        let written = self.write(expr, &mut condition, &mut table)?;
        let table = table?;
        let may = condition.operators == 0 || self.stays_in_range(&condition, table);
        may.then_some(OfOne { condition, table, not_true: written.not_true })
    }

    /// Whether no row makes what is computed an error: one server may leave that row out before it computes.
    fn stays_in_range(&self, condition: &Condition, table: RefId) -> bool {
        let RefKind::Table { info: Some(info), .. } = &self.builder.shape.refs[table].kind else { return false };
        let is_small_part = |part: &Part| match part {
            Part::Text(_) => true,
            Part::Param(_) => false,
            Part::Literal(index) => self.builder.literals.get(*index).is_some_and(|literal| {
                let text = literal.bytes(self.builder.sql);
                text.len() <= SMALL_DIGITS && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
            }),
        };
        let is_small_column = |name: &String| info.column(name).is_some_and(|(_, column)| is_small(column));
        condition.operators == 1
            && condition.parts.iter().all(is_small_part)
            && condition.columns.iter().all(is_small_column)
    }

    fn write(&mut self, expr: &Expr, out: &mut Condition, table: &mut Option<RefId>) -> Option<Written> {
        match expr {
            Expr::Nested(inner) => {
                out.text("(");
                let written = self.write(inner, out, table)?;
                out.text(")");
                Some(written)
            }
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.column(expr, out, table),
            Expr::Value(value) => self.value(value, out),
            Expr::TypedString(_) => self.moment(expr, out),
            Expr::BinaryOp { right, .. } if matches!(bare(right), Expr::Interval(_)) => self.moment(expr, out),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, out, table),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, out, table),
            Expr::IsNull(inner) => self.suffixed(inner, " IS NULL", out, table).map(|_| Written::PLAIN),
            Expr::IsNotNull(inner) => {
                let inner = self.suffixed(inner, " IS NOT NULL", out, table)?;
                Some(Written { not_true: inner.null_with_columns, null_with_columns: false })
            }
            Expr::IsTrue(inner) => {
                let inner = self.suffixed(inner, " IS TRUE", out, table)?;
                Some(Written { not_true: inner.not_true, null_with_columns: false })
            }
            Expr::Between { expr, negated, low, high } => {
                out.text("(");
                let tested = self.write(expr, out, table)?;
                out.text(if *negated { " NOT BETWEEN " } else { " BETWEEN " });
                self.write(low, out, table)?;
                out.text(" AND ");
                self.write(high, out, table)?;
                out.text(")");
                Some(comparison(tested.null_with_columns))
            }
            Expr::InList { expr, list, negated } if !list.is_empty() => {
                out.text("(");
                let tested = self.write(expr, out, table)?;
                out.text(if *negated { " NOT IN (" } else { " IN (" });
                for (index, item) in list.iter().enumerate() {
                    if index > 0 {
                        out.text(", ");
                    }
                    self.write(item, out, table)?;
                }
                out.text("))");
                Some(comparison(tested.null_with_columns))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                out.text("(");
                let tested = self.write(expr, out, table)?;
                out.text(if *negated { " NOT LIKE " } else { " LIKE " });
                self.write(pattern, out, table)?;
                out.text(")");
                Some(comparison(tested.null_with_columns))
            }
            Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => {
                let numbers = std::iter::once(&**from).chain(substring_for.as_deref());
                self.call("SUBSTRING", expr, numbers, out, table)
            }
            Expr::Function(function) => {
                let (name, arguments) = plain_call(function)?;
                let name = CUTS.iter().chain(PARTS_OF_DATES).find(|known| known.eq_ignore_ascii_case(name))?;
                let (first, rest) = arguments.split_first()?;
                if PARTS_OF_DATES.contains(name) && !(rest.is_empty() && self.is_date(first)) {
                    return None;
                }
                self.call(name, first, rest.iter().copied(), out, table)
            }
            _ => None,
        }
    }

    /// A date or a time that stands there, or one that is so many days or the like away from it.
    fn moment(&mut self, expr: &Expr, out: &mut Condition) -> Option<Written> {
        match bare(expr) {
            Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }) => {
                out.text(match data_type {
                    DataType::Date => "DATE ",
                    DataType::Time(None, TimezoneInfo::None) => "TIME ",
                    DataType::Timestamp(None, TimezoneInfo::None) => "TIMESTAMP ",
                    _ => return None,
                });
                self.value(value, out)
            }
            Expr::BinaryOp { left, op: op @ (BinaryOperator::Plus | BinaryOperator::Minus), right } => {
                let Expr::Interval(interval) = bare(right) else { return None };
                out.text("(");
                self.moment(left, out)?;
                out.text(if *op == BinaryOperator::Plus { " + INTERVAL " } else { " - INTERVAL " });
                let Expr::Value(count) = bare(&interval.value) else { return None };
                self.value(count, out)?;
                out.text(unit_of(interval)?);
                out.text(")");
                Some(Written::PLAIN)
            }
            _ => None,
        }
    }

    /// A function of a column and of numbers that stand there.
    fn call<'e>(
        &mut self,
        name: &str,
        column: &Expr,
        numbers: impl Iterator<Item = &'e Expr>,
        out: &mut Condition,
        table: &mut Option<RefId>,
    ) -> Option<Written> {
        out.text(name);
        out.text("(");
        self.column(column, out, table)?;
        for number in numbers {
            let Expr::Value(value) = bare(number) else { return None };
            if !matches!(value.value, Value::Number(..)) {
                return None;
            }
            out.text(", ");
            self.value(value, out)?;
        }
        out.text(")");
        Some(Written { null_with_columns: true, not_true: true })
    }

    /// Whether it is a column that holds dates.
    fn is_date(&mut self, expr: &Expr) -> bool {
        let column = self.builder.resolve_expr(expr, self.block);
        let data_type = column.and_then(|column| self.builder.data_type(column));
        data_type.is_some_and(|data_type| matches!(data_type, "date" | "datetime" | "timestamp"))
    }

    fn suffixed(
        &mut self,
        inner: &Expr,
        suffix: &str,
        out: &mut Condition,
        table: &mut Option<RefId>,
    ) -> Option<Written> {
        out.text("(");
        let written = self.write(inner, out, table)?;
        out.text(suffix);
        out.text(")");
        Some(written)
    }

    fn unary(
        &mut self,
        op: UnaryOperator,
        expr: &Expr,
        out: &mut Condition,
        table: &mut Option<RefId>,
    ) -> Option<Written> {
        out.text(match op {
            UnaryOperator::Not => "(NOT (",
            UnaryOperator::Minus => "(-(",
            UnaryOperator::Plus => "(+(",
            _ => return None,
        });
        out.operators += usize::from(op == UnaryOperator::Minus && !matches!(bare(expr), Expr::Value(_)));
        let written = self.write(expr, out, table)?;
        out.text("))");
        // NOT NULL is NULL
        Some(Written { not_true: written.null_with_columns, ..written })
    }

    fn binary(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        out: &mut Condition,
        table: &mut Option<RefId>,
    ) -> Option<Written> {
        let text = match op {
            BinaryOperator::Eq => " = ",
            BinaryOperator::NotEq => " <> ",
            BinaryOperator::Lt => " < ",
            BinaryOperator::LtEq => " <= ",
            BinaryOperator::Gt => " > ",
            BinaryOperator::GtEq => " >= ",
            BinaryOperator::Spaceship => " <=> ",
            BinaryOperator::And => " AND ",
            BinaryOperator::Or => " OR ",
            BinaryOperator::Plus => " + ",
            BinaryOperator::Minus => " - ",
            BinaryOperator::Multiply => " * ",
            _ => return None,
        };
        use BinaryOperator::{Minus, Multiply, Plus};
        out.operators += usize::from(matches!(op, Plus | Minus | Multiply));
        out.text("(");
        let left = self.write(left, out, table)?;
        out.text(text);
        let right = self.write(right, out, table)?;
        out.text(")");
        let either = left.null_with_columns || right.null_with_columns;
        Some(match op {
            BinaryOperator::Spaceship => Written::PLAIN,
            BinaryOperator::And => Written {
                not_true: left.not_true || right.not_true,
                null_with_columns: left.null_with_columns && right.null_with_columns,
            },
            BinaryOperator::Or => Written {
                not_true: left.not_true && right.not_true,
                null_with_columns: left.null_with_columns && right.null_with_columns,
            },
            _ => comparison(either),
        })
    }

    fn column(&mut self, expr: &Expr, out: &mut Condition, table: &mut Option<RefId>) -> Option<Written> {
        let name = match bare(expr) {
            Expr::Identifier(name) => name,
            Expr::CompoundIdentifier(parts) => parts.last()?,
            _ => return None,
        };
        let column = self.builder.resolve_expr(expr, self.block)?;
        let owner = self.builder.shape.columns[column].table;
        if *table.get_or_insert(owner) != owner || self.builder.shape.refs[owner].block != self.block {
            return None;
        }
        out.text(&quoted(&name.value));
        out.columns.push(name.value.clone());
        Some(Written { null_with_columns: true, not_true: true })
    }

    fn value(&mut self, value: &ValueWithSpan, out: &mut Condition) -> Option<Written> {
        match &value.value {
            Value::Null => out.text("NULL"),
            Value::Boolean(true) => out.text("TRUE"),
            Value::Boolean(false) => out.text("FALSE"),
            Value::Placeholder(_) => {
                let start = spans::range_of(value.span)?.start;
                let number = self.builder.outline.param_at(start)?;
                out.parts.push(Part::Param(number));
            }
            _ => {
                let range = spans::range_of(value.span)?;
                let index = at_range(self.builder.literals, range.start, range.end)?;
                let literal = self.builder.literals.get(index)?;
                // a string beside another one is a part of a value only, and one behind an introducer too
                let is_string = matches!(literal.kind, LiteralKind::String | LiteralKind::NationalString);
                if is_string && !self.stands_alone(range.start, range.end) {
                    return None;
                }
                out.parts.push(Part::Literal(index));
            }
        }
        Some(Written::PLAIN)
    }

    /// Whether what stands before and behind a literal belongs to something else.
    fn stands_alone(&self, start: usize, end: usize) -> bool {
        use crate::sql::lexer::TokenKind;
        let outline = self.builder.outline;
        let index = outline.index_at(start);
        let is_string = |at: usize| outline.tokens().get(at).is_some_and(|token| token.kind == TokenKind::String);
        let introduced = index
            .checked_sub(1)
            .and_then(|before| outline.tokens().get(before))
            .is_some_and(|token| token.kind == TokenKind::Word && token.bytes(self.builder.sql).starts_with(b"_"));
        let behind = outline.index_at(end);
        let beside = index.checked_sub(1).is_some_and(is_string) || is_string(behind);
        let collated = outline.is_keyword(self.builder.sql, behind, &["COLLATE"]);
        !introduced && !beside && !collated
    }
}

/// The unit of an interval, of those that take one number.
fn unit_of(interval: &Interval) -> Option<&'static str> {
    const UNITS: [&str; 8] = [" YEAR", " QUARTER", " MONTH", " WEEK", " DAY", " HOUR", " MINUTE", " SECOND"];
    let Some(DateTimeField::Custom(written)) = &interval.leading_field else { return None };
    UNITS.into_iter().find(|unit| unit[1..].eq_ignore_ascii_case(&written.value))
}

/// The name and the arguments of a call that has nothing else.
fn plain_call(function: &Function) -> Option<(&str, Vec<&Expr>)> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let is_plain = function.over.is_none()
        && function.filter.is_none()
        && function.null_treatment.is_none()
        && function.within_group.is_empty()
        && list.duplicate_treatment.is_none()
        && list.clauses.is_empty()
        && name.quote_style.is_none();
    let mut arguments = Vec::with_capacity(list.args.len());
    for argument in &list.args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else { return None };
        arguments.push(expr);
    }
    is_plain.then_some((name.value.as_str(), arguments))
}

/// Whether the sum, the difference and the product of two values of a column's type are values too.
fn is_small(column: &ColumnInfo) -> bool {
    let digits = || column.column_type.split(['(', ',', ')']).nth(1)?.trim().parse::<usize>().ok();
    !column.is_unsigned()
        && match &*column.data_type {
            "tinyint" | "smallint" | "mediumint" | "int" => true,
            "decimal" => digits().is_some_and(|digits| digits <= SMALL_DECIMAL),
            _ => false,
        }
}

/// The share of rows that a condition leaves, guessed by its kind (Selinger et al., *Access Path Selection in a Relational
/// Database Management System*, table 1). It decides on the order of reads only.
fn share_of(expr: &Expr) -> f64 {
    use BinaryOperator::{And, Eq, Or, Spaceship};
    const EQUAL: f64 = 0.1;
    const RANGE: f64 = 1.0 / 3.0;
    const BETWEEN: f64 = 0.25;
    match bare(expr) {
        Expr::BinaryOp { left, op: op @ (And | Or), right } => joined_share(op, share_of(left), share_of(right)),
        Expr::BinaryOp { op: Eq | Spaceship, .. } | Expr::IsNull(_) => EQUAL,
        Expr::InList { list, negated: false, .. } => (list.len() as f64 * EQUAL).min(0.5),
        Expr::Between { negated: false, .. } => BETWEEN,
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => 1.0 - share_of(expr),
        Expr::Like { negated: false, .. } => EQUAL,
        Expr::IsNotNull(_) | Expr::Like { .. } | Expr::InList { .. } => 1.0 - EQUAL,
        _ => RANGE,
    }
}

fn joined_share(operator: &BinaryOperator, left: f64, right: f64) -> f64 {
    if *operator == BinaryOperator::Or { (left + right).min(1.0) } else { left * right }
}

/// A comparison, or arithmetic: NULL where an operand is.
fn comparison(null_with_columns: bool) -> Written {
    Written { null_with_columns, not_true: null_with_columns }
}
