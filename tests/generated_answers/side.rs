//! One side of the comparison: a connection to one schema.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::compare::Answer;
use super::tree::Statement;
use crate::support::raw::response::{Response, Rows, status};
use crate::support::raw::{ConnectError, Options, Prepared, RawClient};

/// How a statement is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Text,
    Prepared,
    /// Prepared, its rows fetched few at a time.
    Cursor,
}

/// Rows of one fetch from a cursor.
const FETCH_ROWS: u32 = 3;

#[derive(Debug)]
pub struct Side {
    options: Options,
    client: RawClient,
}

impl Side {
    pub fn connect(options: Options) -> Self {
        let client = options.connect().unwrap();
        Self { options, client }
    }

    /// Runs a statement that must succeed.
    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        if let Response::Err(error) = self.client.query(sql) {
            panic!("{error} from {}\n{sql}", self.options.url);
        }
    }

    /// Runs a query; a connection that breaks is an answer too, and is made again.
    pub fn ask(&mut self, statement: &Statement, mode: Mode) -> Answer {
        let answer = catch_unwind(AssertUnwindSafe(|| self.try_ask(statement, mode)));
        if answer.is_err() {
            println!("not understood from {}: {}", self.options.url, statement.text);
        }
        let broken = |_| Err(std::io::Error::other(format!("not understood: {}", statement.text)));
        match answer.unwrap_or_else(broken) {
            Ok(response) => Answer::new(&response, mode),
            Err(error) => {
                let id = self.client.greeting.connection_id;
                match self.options.connect() {
                    Ok(client) => {
                        self.client = client;
                        // what runs there still would hold its tables
                        self.client.query(&format!("KILL {id}"));
                    }
                    Err(ConnectError::Io(_)) => return Answer::Other(format!("{} is gone", self.options.url)),
                    Err(ConnectError::Refused(error)) => panic!("no new connection after {}: {error}", statement.text),
                }
                Answer::Other(format!("the connection broke: {error}"))
            }
        }
    }

    /// Connects again, to a server that was started again.
    pub fn reconnect(&mut self) {
        self.client = self.options.connect().unwrap();
    }

    fn try_ask(&mut self, statement: &Statement, mode: Mode) -> std::io::Result<Response> {
        if mode == Mode::Text {
            self.client.send_query(&statement.text);
            return Ok(self.client.read_all(false)?.remove(0));
        }
        let prepared = match self.client.prepare(&statement.text) {
            Ok(prepared) => prepared,
            Err(error) => return Ok(Response::Err(error)),
        };
        let response = if mode == Mode::Prepared {
            self.client.send_execute(&prepared, &statement.params, 0);
            self.client.read_all(true)?.remove(0)
        } else {
            // Without DEPRECATE_EOF, so that the end of the columns tells whether a cursor is open.
            self.client.send_execute(&prepared, &statement.params, 1);
            match self.client.read_response()? {
                Response::Rows(opened) if opened.status & status::CURSOR_EXISTS != 0 => {
                    self.fetch_all(&prepared, opened)
                }
                other => other,
            }
        };
        self.client.close_statement(&prepared);
        Ok(response)
    }

    fn fetch_all(&mut self, prepared: &Prepared, mut all: Rows) -> Response {
        loop {
            match self.client.fetch(prepared, FETCH_ROWS) {
                Response::Rows(some) => {
                    all.rows.extend(some.rows);
                    if some.status & status::LAST_ROW_SENT != 0 {
                        return Response::Rows(all);
                    }
                }
                other => return other,
            }
        }
    }
}
