//! Writes in steps: INSERT … SELECT, and UPDATE and DELETE whose rows must be chosen before they are changed.
//!
//! The plan has the recipe ([`crate::plan::compose`]). All steps run in one transaction: the client's, behind a savepoint,
//! or one of the statement's own.

mod carry;
mod change;
mod create;
mod create_temporary;
mod insert;
mod literal;
mod load;
mod moves;
mod nodes;
mod reopened;

use std::sync::Arc;

use bytes::Bytes;

use super::moment::at_one_moment;
use super::prepared::Prepared;
use super::query::Text;
use super::select_inner::InnerRows;
use super::{Diagnostic, Failure, Session, Snapshot};
use crate::error::SqlError;
use crate::execute::diagnostics::MAX_DIAGNOSTICS;
use crate::execute::lane::Outcome;
use crate::execute::write::{Info, keep_news};
use crate::plan::compose::Compose;
use crate::plan::{LastInsertId, Plan};
use crate::protocol::OkPacket;
use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::scan;
use carry::Carrier;
pub(super) use literal::Writer;

/// What the steps of a statement have done so far.
#[derive(Debug)]
pub(super) struct Done {
    affected_rows: u64,
    warnings: u16,
    insert_id: u64,
    last_insert_id: LastInsertId,
    info: Info,
    /// The text of the answer, where it is not that of `info`.
    text: Option<String>,
    diagnostics: Vec<Diagnostic>,
}

impl Done {
    fn new() -> Self {
        Self {
            affected_rows: 0,
            warnings: 0,
            insert_id: 0,
            last_insert_id: LastInsertId::Kept,
            info: Info::default(),
            text: None,
            diagnostics: Vec::new(),
        }
    }

    /// Adds the warnings of a query whose rows are written.
    fn add_read(&mut self, read: &InnerRows) {
        self.warnings = self.warnings.saturating_add(read.warnings);
        let room = MAX_DIAGNOSTICS.saturating_sub(self.diagnostics.len());
        self.diagnostics.extend(read.diagnostics.iter().take(room).cloned());
    }

    /// Adds what a step came to.
    fn add(&mut self, outcome: &Outcome, mut diagnostics: Vec<Diagnostic>) {
        self.affected_rows = self.affected_rows.saturating_add(outcome.affected_rows);
        let told = diagnostics.len();
        keep_news(&self.diagnostics, &mut diagnostics, &[]);
        let again = u16::try_from(told - diagnostics.len()).unwrap_or(u16::MAX);
        self.warnings = self.warnings.saturating_add(outcome.warnings.saturating_sub(again));
        self.info.add(&outcome.info);
        let room = MAX_DIAGNOSTICS.saturating_sub(self.diagnostics.len());
        self.diagnostics.extend(diagnostics.into_iter().take(room));
    }
}

impl Session {
    /// How literals are written that the session's statements hold.
    fn literal_writer(&self) -> Writer {
        Writer { mode: self.state.lex_mode, utf8: self.state.text_is_utf8 }
    }

    /// What writes the values of a query into columns; `sql` is the text that has the query.
    fn carrier(&self, sql: &[u8]) -> Carrier {
        Carrier { writer: self.literal_writer(), may_be_hex: carry::has_hex(sql, self.state.lex_mode) }
    }

    /// The rows that a write goes by. `ignores`: it has IGNORE.
    async fn read_for(&mut self, query: Vec<u8>, ignores: bool) -> Result<InnerRows, Failure> {
        /// ER_SUBQUERY_NO_1_ROW.
        const SEVERAL_ROWS: u16 = 1242;
        let strict = self.is_strict() && !ignores;
        let read = self.select_inner(query.into(), strict).await;
        // with it, one server takes NULL for such a query, and goes on
        read.map_err(|failure| match failure {
            Failure::Sql(error) if ignores && error.errno == SEVERAL_ROWS && self.shared.is_mariadb() => {
                SqlError::not_supported("a subquery that gives several rows under IGNORE", "leave out IGNORE").into()
            }
            other => other,
        })
    }

    /// Runs a write in steps, and answers it.
    pub(super) async fn run_steps(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        text: &Text,
    ) -> Result<(), Failure> {
        let Some(compose) = plan.compose.clone() else { return Ok(()) };
        if matches!(*compose, Compose::Create) {
            return Box::pin(self.create_steps(snapshot, text)).await;
        }
        let expanded = plan.expanded(&text.sql, &self.literals).map(|sql| Text { sql });
        if let Some(expanded) = &expanded {
            scan(&expanded.sql, self.state.lex_mode, &mut self.literals);
        }
        let text = expanded.as_ref().unwrap_or(text);
        // The groups are noted as the steps come to them.
        let within = self.begin_steps(snapshot, &[]).await?;
        let mut done = Done::new();
        let vars = Arc::clone(&self.state.vars);
        if plan.needs.timestamp || plan.needs.row_times {
            self.state.vars = at_one_moment(&vars);
        }
        let result = match &*compose {
            Compose::Insert(rows) => self.insert_steps(rows, text, &mut done).await,
            Compose::Values(values) => self.values_steps(values, text, &mut done).await,
            Compose::Change(rows) => self.change_steps(snapshot, plan, rows, text, &mut done).await,
            // makes its own transaction
            Compose::Create => Ok(()),
        };
        self.state.vars = vars;
        self.end_steps(within, result).await?;
        self.answer_steps(done);
        Ok(())
    }

    fn answer_steps(&mut self, done: Done) {
        let warnings = done.warnings;
        let outcome = Outcome {
            affected_rows: done.affected_rows,
            insert_id: done.insert_id,
            info: done.text.unwrap_or_else(|| done.info.text(warnings)),
            warnings,
            ..Outcome::default()
        };
        self.note_outcome(&outcome, done.last_insert_id, true);
        self.note_write();
        let ok = OkPacket {
            affected_rows: outcome.affected_rows,
            last_insert_id: outcome.insert_id,
            status: self.status(),
            warnings,
            info: outcome.info.as_bytes(),
            session_state: &[],
        };
        self.client.put_ok(&ok);
        self.state.diagnostics = done.diagnostics;
    }

    /// Runs a prepared statement as text, with its values in it: steps are made of texts.
    pub(super) async fn run_prepared_as_text(&mut self, prepared: &Prepared, payload: &Bytes) -> Result<(), Failure> {
        let text = self.text_with_values(prepared, payload)?;
        let scanned = scan(&text.sql, self.state.lex_mode, &mut self.literals);
        let snapshot = self.snapshot();
        let plan = self.plan(&text, &scanned, &snapshot, false).await?;
        Box::pin(self.run_text(&snapshot, &plan, &text)).await
    }

    /// The text of a prepared statement with the values of an execution in the places of its `?`.
    pub(super) fn text_with_values(&self, prepared: &Prepared, payload: &Bytes) -> Result<Text, Failure> {
        let writer = self.literal_writer();
        let sql = &prepared.text.sql;
        let mut out = Vec::with_capacity(sql.len() + 16 * prepared.params.len());
        let mut from = 0;
        let tokens =
            Lexer::starting_at(sql, self.state.lex_mode, 0).filter(|token| token.kind == TokenKind::Placeholder);
        for (param, token) in tokens.enumerate() {
            out.extend_from_slice(sql.get(from..token.start).unwrap_or_default());
            let value = prepared.params.value(param, payload, &prepared.long_data)?;
            writer.plain(&value, &mut out);
            from = token.end;
        }
        out.extend_from_slice(sql.get(from..).unwrap_or_default());
        Ok(Text { sql: out.into() })
    }
}
