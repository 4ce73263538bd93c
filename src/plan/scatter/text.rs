//! Which expressions surely give a text: its collation is not known, so the merge could not compare it.

use sqlparser::ast::{BinaryOperator, DataType, Expr, ObjectNamePart, Value};

use super::Weave;
use super::group::arguments;
use super::key::type_of;
use crate::plan::shape::bare;

/// Functions that give texts.
const TEXTS: &[&str] = &[
    "char",
    "concat",
    "concat_ws",
    "date_format",
    "dayname",
    "elt",
    "format",
    "hex",
    "insert",
    "json_unquote",
    "lcase",
    "left",
    "lower",
    "lpad",
    "ltrim",
    "md5",
    "mid",
    "monthname",
    "quote",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "sha",
    "sha1",
    "sha2",
    "soundex",
    "space",
    "substr",
    "substring",
    "substring_index",
    "time_format",
    "to_base64",
    "trim",
    "ucase",
    "upper",
];

/// Functions that give a text if one of their arguments is one.
const CHOICES: &[&str] =
    &["any_value", "coalesce", "greatest", "if", "ifnull", "least", "max", "min", "nullif", "nvl", "nvl2"];

impl Weave<'_, '_> {
    /// Whether an expression surely gives a text.
    pub(super) fn is_text(&mut self, expr: &Expr) -> bool {
        let expr = bare(expr);
        if let Some(column) = self.builder.resolve_expr(expr, self.main) {
            let data_type = type_of(&self.builder.shape, column).map(|(data_type, _)| data_type);
            return data_type.is_some_and(|data_type| data_type.ends_with("char") || data_type.ends_with("text"));
        }
        match expr {
            // a parameter may be one
            Expr::Value(value) => matches!(
                value.value,
                Value::SingleQuotedString(_) | Value::DoubleQuotedString(_) | Value::Placeholder(_)
            ),
            Expr::Substring { .. } | Expr::Trim { .. } => true,
            Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } => true,
            Expr::Cast { data_type, .. } => {
                matches!(data_type, DataType::Char(_) | DataType::Varchar(_) | DataType::Character(_) | DataType::Text)
            }
            Expr::Case { conditions, else_result, .. } => {
                conditions.iter().any(|when| self.is_text(&when.result))
                    || else_result.as_ref().is_some_and(|result| self.is_text(result))
            }
            Expr::Function(function) => {
                let name = function.name.0.last().and_then(ObjectNamePart::as_ident);
                let name = name.map(|name| name.value.to_ascii_lowercase()).unwrap_or_default();
                let of_arguments = CHOICES.contains(&name.as_str());
                TEXTS.contains(&name.as_str())
                    || (of_arguments && arguments(function).into_iter().any(|argument| self.is_text(argument)))
            }
            _ => false,
        }
    }
}
