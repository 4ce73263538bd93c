//! SHOW, DESCRIBE and EXPLAIN.
//!
//! What concerns the session is answered here (WARNINGS, PROCESSLIST); what concerns tables is planned, so that logical
//! tables are shown and physical ones are not; the rest any one server can answer.

use std::sync::Arc;

use bytes::Bytes;

use super::answer::{Cell, Column};
use super::query::Text;
use super::{Failure, Flow, Session, Snapshot};
use crate::backend::StatementText;
use crate::error::SqlError;
use crate::execute::lane::Request;
use crate::execute::relay::{Style, relay};
use crate::execute::{ExecuteError, Lane, Watch};
use crate::sql::scan;
use crate::sql::session_statement::{Describe, Explain, Filter, Show};

/// How much of a statement SHOW PROCESSLIST shows without FULL (*SHOW PROCESSLIST Statement*).
const SHORT_INFO_CHARS: usize = 100;

impl Session {
    pub(super) async fn show(&mut self, show: Show, text: &Text) -> Result<Flow, Failure> {
        match show {
            Show::Warnings { errors_only, limit } => self.show_warnings(errors_only, limit).await?,
            Show::CountWarnings { errors_only } => {
                let name = if errors_only { "@@session.error_count" } else { "@@session.warning_count" };
                let count = self.diagnostics(errors_only).len() as i64;
                self.answer_rows(&[Column::Count(name)], &[vec![Cell::Int(count)]]).await?;
            }
            Show::ProcessList { full } => self.process_list(full).await?,
            Show::ShardloomTransactions => self.show_transactions().await?,
            Show::ShardloomDdl => self.show_definitions().await?,
            show if show.is_about_tables() => return self.run_planned_show(text).await,
            show => {
                if let Some(sql) = self.passed_on(&show, text)? {
                    return self.pass_through(&sql).await;
                }
            }
        }
        Ok(Flow::Continue)
    }

    pub(super) async fn describe(&mut self, _describe: Describe, text: &Text) -> Result<Flow, Failure> {
        self.run_planned_show(text).await
    }

    /// What is sent to any one server for a SHOW that it can answer; nothing for one that the session answers itself.
    pub(super) fn passed_on(&self, show: &Show, text: &Text) -> Result<Option<Bytes>, Failure> {
        self.check_shown(show, text)?;
        match show {
            Show::Warnings { .. }
            | Show::CountWarnings { .. }
            | Show::ProcessList { .. }
            | Show::ShardloomTransactions
            | Show::ShardloomDdl => Ok(None),
            Show::Databases(filter) => Ok(Some(self.databases_query(filter, text))),
            Show::Grants { user } => self.grants_query(user.as_deref()).map(Some),
            Show::CreateUser => Err(self.accounts_are_denied()),
            Show::CreateDatabase { name, .. } if self.shared.snapshot.load().rules.schema(&name.text).is_none() => {
                Err(SqlError::client(1049, "42000", format!("Unknown database '{}'", name.text)).into())
            }
            // The proxy has none open; those of the servers have physical names.
            Show::OpenTables { .. } => Ok(Some(Bytes::from_static(b"SHOW OPEN TABLES WHERE FALSE"))),
            Show::Other(words) => Ok(Some(self.programs_query(words, text)?.unwrap_or_else(|| text.sql.clone()))),
            _ => Ok(Some(text.sql.clone())),
        }
    }

    /// A statement about tables goes through the planner, which knows their physical names.
    async fn run_planned_show(&mut self, text: &Text) -> Result<Flow, Failure> {
        let scanned = scan(&text.sql, self.state.lex_mode, &mut self.literals);
        let snapshot = self.snapshot();
        let plan = self.plan(text, &scanned, &snapshot, false).await?;
        self.run_text(&snapshot, &plan, text).await?;
        Ok(Flow::Continue)
    }

    /// EXPLAIN runs where the statement would run first.
    pub(super) async fn explain(&mut self, _explain: Explain, text: &Text) -> Result<Flow, Failure> {
        self.run_planned_show(text).await
    }

    /// EXPLAIN ROUTE: the plan, a line a row.
    pub(super) async fn explain_route(&mut self, text: Text) -> Result<Flow, Failure> {
        let scanned = scan(&text.sql, self.state.lex_mode, &mut self.literals);
        let snapshot = self.snapshot();
        let plan = self.plan(&text, &scanned, &snapshot, false).await?;
        let described = self.describe_plan(&plan, &text.sql)?;
        let rows: Vec<Vec<Cell>> = described.lines().map(|line| vec![Cell::from(line)]).collect();
        self.answer_rows(&[Column::Text("Route", 4096)], &rows).await?;
        Ok(Flow::Continue)
    }

    /// Runs a statement that any server can answer on the home group, and relays the answer.
    pub(super) async fn pass_through(&mut self, sql: &Bytes) -> Result<Flow, Failure> {
        let snapshot = self.snapshot();
        let group = self.group_for(sql, &snapshot);
        let lane = self.lane_aside(group, &snapshot).await?;
        let lane = self.pass_on(lane, sql, &snapshot).await?;
        self.settle(lane, &snapshot);
        Ok(Flow::Continue)
    }

    /// LOAD DATA, whose answer does not tell the first number that the server made.
    pub(super) async fn pass_load(&mut self, sql: &Bytes) -> Result<Flow, Failure> {
        let snapshot = self.snapshot();
        let group = self.group_for(sql, &snapshot);
        let mut lane = self.lane_aside(group, &snapshot).await?;
        self.queue_insert_id(&mut lane)?;
        let mut lane = self.pass_on(lane, sql, &snapshot).await?;
        self.state.last_insert_id = self.insert_id_on(&mut lane).await;
        self.settle(lane, &snapshot);
        Ok(Flow::Continue)
    }

    async fn pass_on(&mut self, mut lane: Lane, sql: &Bytes, snapshot: &Arc<Snapshot>) -> Result<Lane, Failure> {
        let result = self.relay_as_it_is(&mut lane, sql).await;
        if let Err(error) = result {
            return Err(self.lane_failed(lane, error, snapshot));
        }
        let outcome = lane.outcome().clone();
        self.note_outcome(&outcome, crate::plan::LastInsertId::AsReported, true);
        if outcome.warnings > 0 {
            self.fetch_warnings(&mut lane).await;
        }
        Ok(lane)
    }

    /// In the protocol of the client's statement.
    async fn relay_as_it_is(&mut self, lane: &mut Lane, sql: &Bytes) -> Result<(), ExecuteError> {
        let watch = Watch { entry: &self.entry };
        let statement = lane.kill_handle();
        let request = match &self.binary {
            None => Request::Query(sql.clone()),
            Some(payload) => Request::Execute { text: StatementText::new(&sql[..]), payload: payload.clone() },
        };
        watch.guard_killing(&self.client, statement.as_slice(), lane.send(&request)).await?;
        let style = Style { more_results: self.more_results, ..Style::PLAIN };
        relay(lane, &mut self.client, watch, style).await
    }

    /// The logical schemas that the user may use. A server filters them, since it knows what LIKE and WHERE mean.
    fn databases_query(&self, filter: &Filter, text: &Text) -> Bytes {
        let snapshot = self.shared.snapshot.load();
        let names = snapshot.rules.schemas.values().map(|schema| schema.name.clone());
        let mut names: Vec<String> = names
            .filter(|name| self.shared.may_use(&self.entry.user, name))
            .map(|name| name.to_string())
            .chain(["information_schema".to_owned()])
            // every account of a MySQL server sees this one too
            .chain((!self.shared.server_version.contains("MariaDB")).then(|| "performance_schema".to_owned()))
            .collect();
        names.sort_unstable();
        let rows: Vec<String> = names.iter().map(|name| super::literal::quote(name.as_bytes())).collect();
        let clause = |range: &std::ops::Range<usize>| String::from_utf8_lossy(&text.sql[range.clone()]).into_owned();
        let (title, condition) = match filter {
            Filter::None => ("Database".to_owned(), String::new()),
            Filter::Like { pattern, range } => (
                format!("Database ({})", String::from_utf8_lossy(pattern)),
                format!(" WHERE `Database` LIKE {}", clause(range)),
            ),
            Filter::Where(range) => ("Database".to_owned(), format!(" WHERE {}", clause(range))),
        };
        let sql = format!(
            "SELECT `Database` AS `{}` FROM (SELECT {} AS `Database`{}) AS `SCHEMATA`{condition}",
            title.replace('`', "``"),
            rows[0],
            rows[1..].iter().map(|row| format!(" UNION ALL SELECT {row}")).collect::<String>(),
        );
        Bytes::from(sql)
    }

    fn diagnostics(&self, errors_only: bool) -> Vec<&super::Diagnostic> {
        self.state.diagnostics.iter().filter(|d| !errors_only || d.level == "Error").collect()
    }

    async fn show_warnings(&mut self, errors_only: bool, limit: Option<(u64, u64)>) -> Result<(), Failure> {
        let (offset, count) = limit.unwrap_or((0, u64::MAX));
        let rows: Vec<Vec<Cell>> = self
            .diagnostics(errors_only)
            .into_iter()
            .skip(usize::try_from(offset).unwrap_or(usize::MAX))
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .map(|d| vec![Cell::from(d.level.clone()), Cell::Int(i64::from(d.code)), Cell::from(d.message.clone())])
            .collect();
        // as each server says it
        let digits = if self.shared.is_mariadb() { 4 } else { 5 };
        let columns = [Column::Text("Level", 7), Column::UInt("Code", digits), Column::Text("Message", 512)];
        self.answer_rows(&columns, &rows).await
    }

    /// The sessions of this proxy: all of the same account.
    pub(super) async fn process_list(&mut self, full: bool) -> Result<(), Failure> {
        let mut rows = Vec::new();
        for entry in self.shared.registry.all() {
            if entry.user != self.entry.user {
                continue;
            }
            let activity = entry.activity();
            let info = activity.statement.as_ref().map(|statement| {
                let text = String::from_utf8_lossy(statement);
                if full { text.into_owned() } else { text.chars().take(SHORT_INFO_CHARS).collect() }
            });
            rows.push(vec![
                Cell::Int(i64::from(entry.id)),
                Cell::from(&*entry.user),
                Cell::from(entry.peer.clone()),
                activity.schema.as_deref().map_or(Cell::Null, Cell::from),
                Cell::from(if info.is_some() { "Query" } else { "Sleep" }),
                Cell::Int(activity.since.elapsed().as_secs() as i64),
                Cell::from(if info.is_some() { "executing" } else { "" }),
                info.map_or(Cell::Null, Cell::from),
            ]);
        }
        let columns = [
            Column::Int("Id"),
            Column::Text("User", 32),
            Column::Text("Host", 261),
            Column::Text("db", 64),
            Column::Text("Command", 16),
            Column::Int("Time"),
            Column::Text("State", 64),
            Column::Text("Info", 65_535),
        ];
        self.answer_rows(&columns, &rows).await
    }
}
