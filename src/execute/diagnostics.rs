//! Warnings: a server forgets them with the next statement, so they are fetched before it.

use super::Lane;
use super::own_query::query_rows;

/// How many diagnostics are kept: the server's own default of `max_error_count`.
pub const MAX_DIAGNOSTICS: usize = 64;

/// One row of SHOW WARNINGS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `Note`, `Warning` or `Error`.
    pub level: String,
    /// The error number.
    pub code: u16,
    /// The text.
    pub message: String,
    /// Whether one server tells it once for all rows of a statement.
    pub is_told_once: bool,
}

/// ER_NO_DEFAULT_FOR_FIELD, ER_WARN_DEPRECATED_SYNTAX, ER_WARN_LEGACY_SYNTAX_CONVERTED: warnings of a statement, not of a
/// row.
const OF_STATEMENTS: [u16; 3] = [1364, 1287, 3005];
/// ER_BAD_NULL_ERROR: MySQL tells it once of a column, MariaDB of each row.
const BAD_NULL: u16 = 1048;

impl Lane {
    /// Fetches the warnings of the statement that just ran on the lane, behind those that it keeps already. They are a
    /// courtesy: when they cannot be had, the statement has succeeded all the same.
    pub async fn keep_warnings(&mut self) {
        let room = MAX_DIAGNOSTICS.saturating_sub(self.diagnostics().len());
        if self.outcome().warnings == 0 || room == 0 || !self.is_usable() {
            return;
        }
        let outcome = self.outcome().clone();
        let Ok((_, rows)) = query_rows(self, "SHOW WARNINGS", room).await else { return };
        let text = |cell: Option<&Option<bytes::Bytes>>| {
            cell.and_then(Option::as_ref).map(|cell| String::from_utf8_lossy(cell).into_owned()).unwrap_or_default()
        };
        let on_mysql = self.conn().is_ok_and(|conn| !conn.is_mariadb());
        self.diagnostics().extend(rows.iter().map(|row| {
            let code = text(row.get(1)).parse().unwrap_or(0);
            Diagnostic {
                level: text(row.first()),
                code,
                message: text(row.get(2)),
                is_told_once: OF_STATEMENTS.contains(&code) || (on_mysql && code == BAD_NULL),
            }
        }));
        self.restore_outcome(outcome);
    }
}
