//! Schemas whose stored functions a statement calls: an account needs them as it needs those of tables.

use super::types::LogicalTable;
use super::{Plan, PlanContext};
use crate::sql::lexer::{Lexer, TokenKind, unquote_name};

/// Notes the schemas of `schema.name(` that no table of the plan is in.
pub(super) fn note(context: &PlanContext<'_>, sql: &[u8], plan: &mut Plan) {
    let skipped = |kind| matches!(kind, TokenKind::Comment | TokenKind::ProxyHint | TokenKind::OptimizerHint);
    let tokens: Vec<_> = Lexer::new(sql, context.mode).filter(|token| !skipped(token.kind)).collect();
    let is_name = |kind| matches!(kind, TokenKind::Word | TokenKind::QuotedName);
    for call in tokens.windows(4) {
        let [schema, dot, name, open] = call else { continue };
        let is_call = is_name(schema.kind)
            && dot.bytes(sql) == b"."
            && is_name(name.kind)
            && open.kind == TokenKind::Symbol
            && open.bytes(sql) == b"(";
        if !is_call {
            continue;
        }
        let Some(schema) = context.rules.schema(&unquote_name(schema.bytes(sql))) else { continue };
        if plan.tables.iter().all(|table| table.schema != schema.name) {
            plan.tables.push(LogicalTable { schema: std::sync::Arc::clone(&schema.name), table: "".into() });
        }
    }
}
