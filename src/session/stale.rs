//! Errors that may come from columns which are no longer what the proxy knows: another proxy, or a client of a server, has
//! defined the table anew. Nothing was written by a statement that ends in one of them, so it can run again.

use std::sync::Arc;

use super::planning::tables_named;
use super::query::Text;
use super::{Failure, Flow, Session, Snapshot};
use crate::sql::{Scan, Verb, scan};

/// ER_NON_UNIQ_ERROR, ER_BAD_FIELD_ERROR, ER_WRONG_VALUE_COUNT_ON_ROW, ER_NO_SUCH_TABLE, ER_NO_DEFAULT_FOR_FIELD, and a value
/// for a generated column on MariaDB and on MySQL.
pub(super) const STALE: &[u16] = &[1052, 1054, 1136, 1146, 1364, 1906, 3105];

impl Session {
    /// Plans and runs a statement, again if it fails for columns that are not what they were.
    pub(super) async fn plan_and_run(&mut self, text: &Text, scanned: &Scan) -> Result<Flow, Failure> {
        let snapshot = self.snapshot();
        let seq = self.client.stream.seq();
        let failure = match self.run_once(text, scanned, &snapshot).await {
            Ok(()) => return Ok(Flow::Continue),
            Err(failure) => failure,
        };
        if self.client.stream.seq() != seq || !Box::pin(self.was_stale(&failure, text, scanned, &snapshot)).await {
            return Err(failure);
        }
        let scanned = scan(&text.sql, self.state.lex_mode, &mut self.literals);
        let snapshot = self.snapshot();
        Box::pin(self.run_once(text, &scanned, &snapshot)).await?;
        Ok(Flow::Continue)
    }

    async fn run_once(&mut self, text: &Text, scanned: &Scan, snapshot: &Arc<Snapshot>) -> Result<(), Failure> {
        let known = self.known_plan(text, scanned, snapshot, false).await?;
        self.run_text(snapshot, &known.plan, text).await
    }

    /// Whether a statement failed for columns that are not what they were: its tables are read again.
    pub(super) async fn was_stale(
        &self,
        failure: &Failure,
        text: &Text,
        scanned: &Scan,
        snapshot: &Arc<Snapshot>,
    ) -> bool {
        let Failure::Sql(error) = failure else { return false };
        let can_run_again = matches!(
            scanned.verb,
            Verb::Select | Verb::Insert | Verb::Update | Verb::Delete | Verb::Replace | Verb::With
        );
        if !STALE.contains(&error.errno) || !can_run_again {
            return false;
        }
        let chosen = self.state.schema.as_deref();
        let epoch = snapshot.catalog.epoch();
        for (schema, table) in tables_named(&text.sql, self.state.lex_mode, &snapshot.rules, chosen) {
            if let Some(schema) = schema.as_deref().or(chosen)
                && let Err(error) = snapshot.catalog.reload(schema, &table).await
            {
                tracing::debug!(%table, %error, "a table could not be read again");
            }
        }
        snapshot.catalog.epoch() != epoch
    }
}
