//! BETWEEN: both bounds decide how it compares (*Comparison Functions and Operators*, `expr BETWEEN min AND max`).

use sqlparser::ast::{Expr, Value};

use super::builder::{is_interval, is_number};
use super::facts::bare;
use super::{BlockId, Builder, ColumnId, RefKind};

/// What a bound is for sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Number,
    Text,
    Moment,
    /// A placeholder, or NULL: whatever suits the column.
    Open,
    Other,
}

impl Builder<'_> {
    /// Whether `column BETWEEN low AND high` is `column >= low AND column <= high`. It is not where the bounds are of two
    /// kinds: `number BETWEEN 1 AND TIMESTAMP'…'` compares moments, also with the 1.
    pub(super) fn compares_bounds_alone(&mut self, expr: &Expr, low: &Expr, high: &Expr, block: BlockId) -> bool {
        match (bound(low), bound(high)) {
            (Bound::Other, _) | (_, Bound::Other) => false,
            (Bound::Moment, Bound::Number) | (Bound::Number, Bound::Moment) => false,
            (Bound::Moment, _) | (_, Bound::Moment) => {
                let data_type = self.resolve_expr(expr, block).and_then(|column| self.data_type(column));
                data_type.is_none_or(|data_type| ["date", "datetime", "timestamp"].contains(&data_type))
            }
            (Bound::Number, Bound::Text) | (Bound::Text, Bound::Number) => false,
            (Bound::Number | Bound::Text | Bound::Open, Bound::Number | Bound::Text | Bound::Open) => true,
        }
    }

    /// The `DATA_TYPE` of a column, if the catalog knows it.
    pub fn data_type(&self, column: ColumnId) -> Option<&str> {
        let column = self.shape.columns.get(column)?;
        match &self.shape.refs.get(column.table)?.kind {
            RefKind::Table { info: Some(info), .. } => {
                info.column(&column.name).map(|(_, info)| info.data_type.as_str())
            }
            _ => None,
        }
    }
}

fn bound(expr: &Expr) -> Bound {
    match bare(expr) {
        Expr::Value(value) => match &value.value {
            Value::Number(..) | Value::Boolean(_) => Bound::Number,
            Value::SingleQuotedString(_) | Value::DoubleQuotedString(_) => Bound::Text,
            Value::Placeholder(_) | Value::Null => Bound::Open,
            _ => Bound::Other,
        },
        Expr::UnaryOp { expr, .. } if is_number(expr) => Bound::Number,
        Expr::TypedString(_) => Bound::Moment,
        Expr::Function(function) if is_moment(&function.name.to_string()) => Bound::Moment,
        expr if is_interval(expr) => Bound::Moment,
        expr if is_number(expr) => Bound::Number,
        _ => Bound::Other,
    }
}

/// Functions that give a date, or a date and time.
fn is_moment(function: &str) -> bool {
    const MOMENTS: &[&str] = &[
        "adddate",
        "curdate",
        "current_date",
        "current_timestamp",
        "date",
        "date_add",
        "date_sub",
        "from_unixtime",
        "localtime",
        "localtimestamp",
        "now",
        "subdate",
        "sysdate",
        "timestamp",
        "utc_date",
        "utc_timestamp",
    ];
    MOMENTS.iter().any(|name| name.eq_ignore_ascii_case(function))
}
