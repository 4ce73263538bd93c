//! Expressions in statements about the session: a server computes them, with the session's own values in the places of
//! what a pooled connection would answer otherwise (`SET @id = LAST_INSERT_ID()`).

use bytes::Bytes;

use super::dml::Writer;
use super::literal::literal_of;
use super::query::Text;
use super::{Failure, Session};
use crate::config::GroupId;
use crate::execute::own_query::Cells;
use crate::protocol::column::ColumnDef;
use crate::sql::scan;

/// ER_PARSE_ERROR.
const SYNTAX_ERROR: u16 = 1064;

/// What an expression is put between, so that it can be planned as a query.
const BEFORE: &str = "SELECT (";
const BEHIND: &str = ") AS `value`";

/// An expression, ready for a server.
#[derive(Debug, Default)]
pub(super) struct Expression {
    /// Its text.
    pub(super) sql: String,
    /// The user variables that it assigns.
    pub(super) assigned: Vec<String>,
    /// It holds LAST_INSERT_ID(x).
    pub(super) sets_insert_id: bool,
}

impl Session {
    /// Puts the session's values into an expression that is to run on `group`. What the planner does not understand stays
    /// as it is: the server has an error for it, or the answer.
    pub(super) async fn bound_expression(&mut self, text: &str, group: GroupId) -> Result<Expression, Failure> {
        let as_it_is = |session: &Self| {
            session.check_named("SET", text.as_bytes())?;
            Ok(Expression { sql: text.to_owned(), ..Expression::default() })
        };
        self.check_seen(text.as_bytes())?;
        let sql = Bytes::from(format!("{BEFORE}{text}{BEHIND}"));
        let scanned = scan(&sql, self.state.lex_mode, &mut self.literals);
        if scanned.next_statement.is_some() || scanned.statement_end != sql.len() {
            return as_it_is(self);
        }
        let snapshot = self.snapshot();
        let query = Text { sql };
        let plan = match self.plan(&query, &scanned, &snapshot, false).await {
            Ok(plan) => plan,
            Err(Failure::Sql(error)) if error.errno == SYNTAX_ERROR => return as_it_is(self),
            Err(failure) => return Err(failure),
        };
        let bound = self.bind(&plan, &query.sql, &[])?;
        let is_here = |of: GroupId| of == group || plan.tables.is_empty();
        let shard = bound.shards.first().filter(|shard| bound.shards.len() == 1 && is_here(shard.group));
        let bytes = shard.map(|shard| shard.sql.bytes(&query.sql)).unwrap_or_default();
        let inner = bytes.strip_prefix(BEFORE.as_bytes()).and_then(|rest| rest.strip_suffix(BEHIND.as_bytes()));
        let Some(inner) = inner else {
            return if plan.tables.is_empty() { as_it_is(self) } else { self.read_value(query.sql).await };
        };
        Ok(Expression {
            sql: String::from_utf8_lossy(inner).into_owned(),
            assigned: plan.assigned_variables.to_vec(),
            sets_insert_id: plan.pins.insert_id,
        })
    }

    /// A value that one server alone cannot give: its query runs as any other, and the value becomes a literal.
    async fn read_value(&mut self, sql: Bytes) -> Result<Expression, Failure> {
        let rows = Box::pin(self.select_inner(sql, false)).await?;
        let writer = Writer { mode: self.state.lex_mode, utf8: self.state.text_is_utf8 };
        let mut literal = Vec::new();
        if let Some(row) = rows.rows.first() {
            let values = rows.values(row)?;
            for (value, column) in values.iter().zip(&rows.columns) {
                writer.cell(value, column, &mut literal);
                if column.kind.is_decimal() && !literal.contains(&b'.') && !literal.eq_ignore_ascii_case(b"NULL") {
                    literal.push(b'.');
                }
            }
        }
        Ok(Expression { sql: String::from_utf8_lossy(&literal).into_owned(), ..Expression::default() })
    }

    /// The values of expressions, as text and as what their columns say they are.
    pub(super) async fn values_of(&mut self, expressions: &[&str]) -> Result<(Vec<ColumnDef>, Cells), Failure> {
        let snapshot = self.snapshot();
        let group = self.any_group(&snapshot);
        let mut parts = Vec::with_capacity(expressions.len());
        for expression in expressions {
            parts.push(self.bound_expression(expression, group).await?.sql);
        }
        self.run_aside("DO 0", &format!("SELECT {}", parts.join(", "))).await
    }

    /// The values of expressions as literals.
    pub(super) async fn literals_of(&mut self, expressions: &[&str]) -> Result<Vec<String>, Failure> {
        if expressions.is_empty() {
            return Ok(Vec::new());
        }
        let (columns, row) = self.values_of(expressions).await?;
        Ok(columns.iter().zip(row).map(|(column, cell)| literal_of(column, cell.as_deref())).collect())
    }
}
