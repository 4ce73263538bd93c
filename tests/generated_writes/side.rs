//! One side of the comparison, and what an application sees of a statement there.

use std::fmt;

use super::statement::Write;
use crate::support::raw::response::{Response, status};
use crate::support::raw::{Options, RawClient};

/// The text of an UPDATE that found no rows.
const NO_ROWS_MATCHED: &str = "Rows matched: 0  Changed: 0  Warnings: 0";

/// What a statement came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Counts, or the error.
    pub outcome: String,
    pub warnings: Vec<String>,
    /// The rows of all tables.
    pub contents: Vec<Vec<String>>,
}

impl Seen {
    pub fn is_error(&self) -> bool {
        self.outcome.starts_with("error")
    }

    /// What differs from another side.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        match () {
            () if self.outcome != other.outcome => Some("outcome"),
            () if self.warnings != other.warnings => Some("warnings"),
            () if self.contents != other.contents => Some("contents"),
            () => None,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.outcome)?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "#     {warning}"))
    }
}

/// A refusal of the proxy.
pub struct Refused(pub String);

pub struct Side {
    client: RawClient,
    schema: String,
    tables: Vec<String>,
    is_strict: bool,
    /// The numbers that rows get are open by now: what counts is the row.
    numbers_are_open: bool,
}

impl Side {
    /// A new connection over empty tables.
    pub fn open(options: &Options, schema: &str, tables: &[String], sql_mode: &str) -> Self {
        let mut client = options.clone().schema(schema).connect().unwrap();
        for table in tables {
            client.run(&format!("TRUNCATE TABLE {table}"));
        }
        client.run(&format!("SET sql_mode = '{sql_mode}'"));
        let is_strict = !sql_mode.is_empty();
        Self { client, schema: schema.to_owned(), tables: tables.to_vec(), is_strict, numbers_are_open: false }
    }

    /// Runs a statement, and looks at what it did.
    pub fn run(&mut self, write: &Write) -> Result<Seen, Refused> {
        let (sql, params) = write.sql();
        self.numbers_are_open |= write.leaves_numbers_open();
        let response = match &write.file {
            Some(lines) => self.load(&sql, lines),
            None if write.prepared => match self.client.prepare(&sql) {
                Ok(prepared) => {
                    let response = self.client.execute(&prepared, &params);
                    self.client.close_statement(&prepared);
                    response
                }
                Err(error) => Response::Err(error),
            },
            None => self.client.query(&sql),
        };
        let (outcome, warnings) = match response {
            Response::Err(error) if error.errno == 1235 => return Err(Refused(error.message)),
            // no shard is that of NULL, whatever a server would store instead; and a row that is alone on its shard is
            // refused for a NULL that a server lets pass in the midst of others where sql_mode is not strict
            Response::Err(error)
                if error.errno == 1048 && (error.message == "Column 'k' cannot be null" || !self.is_strict) =>
            {
                return Err(Refused(error.message));
            }
            // nor is a part of the key that is left out anything else than given
            Response::Err(error)
                if error.errno == 1364
                    && (!self.is_strict || sql.contains(" IGNORE "))
                    && ["'k'", "'j'"].iter().any(|column| error.message.contains(column)) =>
            {
                return Err(Refused(error.message));
            }
            // a row with DEFAULT that is alone on its shard cannot be written as a query
            Response::Err(error)
                if error.errno == 4025
                    && write.has_several_rows()
                    && ["INSERT IGNORE ", "DEFAULT"].iter().all(|word| sql.contains(word)) =>
            {
                return Err(Refused(error.message));
            }
            // what a server notes beside an error is not kept
            Response::Err(error) if write.is_ordered => {
                (format!("error {} ({}): {}", error.errno, error.sqlstate, self.general(&error.message)), Vec::new())
            }
            Response::Err(error) => (format!("error {} ({})", error.errno, error.sqlstate), Vec::new()),
            Response::Ok(ok) => {
                let open = ok.status & (status::IN_TRANSACTION | status::AUTOCOMMIT);
                // a server that sees without looking for rows that none can match says nothing instead
                let info = if ok.info == NO_ROWS_MATCHED { "" } else { &*ok.info };
                // what names no table leaves the warnings of the statement before
                let warnings = if write.is_about_rows() { self.warnings(write.is_ordered) } else { Vec::new() };
                let id = match ok.last_insert_id {
                    id if id > 0 && self.numbers_are_open => self.row_of(id),
                    id => id.to_string(),
                };
                let seen =
                    format!("affected {} id {id} warnings {} status {open} {info:?}", ok.affected_rows, ok.warnings);
                (seen, warnings)
            }
            other => (format!("{other:?}"), Vec::new()),
        };
        Ok(Seen { outcome, warnings, contents: self.contents() })
    }

    fn load(&mut self, sql: &str, lines: &[String]) -> Response {
        self.client.send_query(sql);
        match self.client.read_response().unwrap() {
            Response::LocalInfile(_) => {
                let file: String = lines.iter().map(|line| format!("{line}\n")).collect();
                if !file.is_empty() {
                    self.client.wire.send(file.as_bytes()).unwrap();
                }
                self.client.wire.send(b"").unwrap();
                self.client.read_response().unwrap()
            }
            other => other,
        }
    }

    /// Without the schema's name.
    fn general(&self, message: &str) -> String {
        message.replace(&self.schema, "schema")
    }

    /// The row that has a number.
    fn row_of(&mut self, id: u64) -> String {
        let rows = self.client.rows(&format!("SELECT k, v FROM numbered WHERE id = {id}")).text();
        format!("of {rows:?}")
    }

    fn warnings(&mut self, is_ordered: bool) -> Vec<String> {
        let rows = self.client.rows("SHOW WARNINGS").text();
        let mut lines: Vec<String> = rows
            .into_iter()
            .map(|row| {
                let line = row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" ");
                let line = self.general(&line);
                // which row is the n-th one depends on the order
                if is_ordered { line } else { line.split(" at row ").next().unwrap_or_default().to_owned() }
            })
            .collect();
        lines.sort();
        lines
    }

    fn contents(&mut self) -> Vec<Vec<String>> {
        let tables = self.tables.clone();
        tables
            .iter()
            .map(|table| {
                let cell = |cell: Option<String>| cell.map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"));
                let rows = match self.client.query(&format!("SELECT * FROM {table}")) {
                    Response::Rows(rows) => rows.text(),
                    other => return vec![format!("{other:?}")],
                };
                let hidden = usize::from(table == "numbered" && self.numbers_are_open);
                let mut rows: Vec<String> = rows
                    .into_iter()
                    .map(|row| row.into_iter().skip(hidden).collect::<Vec<_>>())
                    .map(|row| row.into_iter().map(cell).collect::<Vec<_>>().join(", "))
                    .collect();
                rows.sort();
                rows
            })
            .collect()
    }
}
