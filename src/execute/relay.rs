//! One target: the backend's bytes go to the client as they come.
//!
//! Memory stays flat: no more is read from the backend than the client has taken. What must differ from the backend's
//! bytes is changed in place (sequence ids and flags of a multi-statement) or packet by packet (names of tables that are
//! called differently behind the proxy).

use bytes::{Buf, BytesMut};

use super::lane::Outcome;
use super::{Client, ExecuteError, Lane, Watch};
use crate::backend::ServerError;
use crate::net::HEADER_LEN;
use crate::protocol::result_scan::{Rewrite, Watch as ScanWatch};
use crate::protocol::{ColumnFlags, ColumnView, ErrPacket, PrepareOk, ResponseKind, ResultScanner, StatusFlags, Stop};

/// What a client sees under another name than the backend does.
pub trait Names: Sync {
    /// The logical schema and table behind a physical schema and table, if they differ.
    fn logical<'a>(&'a self, schema: &[u8], table: &[u8]) -> Option<(&'a [u8], &'a [u8])>;
    /// The view behind a derived table, if the column is of one.
    fn view<'a>(&'a self, _table: &[u8]) -> Option<ViewLabel<'a>> {
        None
    }
    /// An error text with physical names replaced.
    fn restore_text(&self, text: &str) -> String;
}

/// How a server labels a column of a view that was read through a derived table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewLabel<'a> {
    /// It is of a view of `information_schema`.
    System {
        /// The view.
        view: &'a [u8],
        /// Names of tables have room for a prefix, as in MariaDB's SHOW TABLES.
        prefixed_names: bool,
    },
    /// It is of this view, whatever is under it.
    Merged(&'a [u8]),
    /// It is of a view whose rows were made a table of: if it is no table's, of the view.
    Made {
        /// The view's schema.
        schema: &'a [u8],
        /// The view.
        view: &'a [u8],
    },
}

/// How an answer is relayed.
#[derive(Clone, Copy)]
pub struct Style<'a> {
    /// What the answer is to.
    pub kind: ResponseKind,
    /// Another statement of the same COM_QUERY follows.
    pub more_results: bool,
    /// Names to put back.
    pub names: Option<&'a dyn Names>,
    /// The id under which the client knows the statement, for COM_STMT_PREPARE.
    pub statement_id: u32,
    /// Columns at the end that the client does not see, for COM_STMT_PREPARE.
    pub hidden_columns: u16,
    /// Errors that are not relayed where they are all of the answer: they come back as an `Err`.
    pub held: &'static [u16],
}

impl Style<'_> {
    /// A plain answer, as it is.
    pub const PLAIN: Style<'static> = Style {
        kind: ResponseKind::Results,
        more_results: false,
        names: None,
        statement_id: 0,
        hidden_columns: 0,
        held: &[],
    };
}

/// Relays the answer to what was sent on the lane. The error that a server answers with is relayed too, and told in the
/// outcome; an `Err` means that the answer could not be completed, and [`Outcome::rows`] of the lane how far it got.
pub async fn relay(
    lane: &mut Lane,
    client: &mut Client,
    watch: Watch<'_>,
    style: Style<'_>,
) -> Result<(), ExecuteError> {
    if lane.has_preludes() {
        Box::pin(watch.guard(client, lane.read_preludes())).await?;
    }
    let mut scanner = scanner(client, lane.answer_seq(), &style);
    loop {
        let consumed = pass(&mut scanner, lane, client, watch, &style).await?;
        if scanner.is_done() {
            return finish(&scanner, lane, client, consumed).await;
        }
        if let Err(error) = watch.fill(lane, client).await {
            // Behind a part of a row no error packet can stand: the client's connection must end with the backend's.
            return Err(if scanner.is_mid_packet() { ExecuteError::cut_off(error) } else { error });
        }
    }
}

fn scanner(client: &Client, answer_seq: u8, style: &Style<'_>) -> ResultScanner {
    let status_set = if style.more_results { StatusFlags::MORE_RESULTS_EXISTS } else { StatusFlags::NONE };
    let seq_add = client.stream.seq().wrapping_sub(answer_seq);
    let rewrite = Rewrite { seq_add, status_set, status_clear: StatusFlags::NONE };
    let watch = ScanWatch { columns: style.names.is_some(), results: false };
    ResultScanner::new(style.kind, client.deprecates_eof()).watching(watch).rewriting(rewrite)
}

/// Passes on what is buffered. Returns the error that ended the answer, if one did.
async fn pass(
    scanner: &mut ResultScanner,
    lane: &mut Lane,
    client: &mut Client,
    watch: Watch<'_>,
    style: &Style<'_>,
) -> Result<Option<ServerError>, ExecuteError> {
    loop {
        let buffer = lane.conn()?.stream().buffer();
        let scan = match scanner.scan(buffer) {
            Ok(scan) => scan,
            Err(error) => {
                let error = lane.malformed(&error);
                lane.discard();
                return Err(error);
            }
        };
        let (replaced, ended) = match &scan.stop {
            Stop::NeedMore => (scan.consumed..scan.consumed, true),
            Stop::Done(range) => {
                let error = server_error(scanner, &buffer[range.clone()]);
                if error.as_ref().is_some_and(|error| is_held(error, scanner, client, style)) {
                    let answer = buffer.split_to(scan.consumed);
                    return Err(lane.statement_error(&answer[range.start + HEADER_LEN..]));
                }
                let instead = error.as_ref().and_then(|error| watch.instead_of(error));
                let is_changed = instead.is_some() || style.names.is_some();
                let error = instead.or(error);
                if error.is_some() && is_changed {
                    client.stream.write_buffer().extend_from_slice(&buffer[..range.start]);
                    put_error(client, scanner, error.as_ref(), style);
                } else {
                    watch.write(client, &buffer[..scan.consumed]).await?;
                }
                buffer.advance(scan.consumed);
                client.flush().await.map_err(ExecuteError::ClientLost)?;
                return Ok(error);
            }
            Stop::Column(range) | Stop::PrepareOk(range, _) | Stop::LocalInfile(range) | Stop::ResultEnd(range) => {
                (range.clone(), false)
            }
        };
        if ended {
            if scan.consumed > 0 {
                watch.write(client, &buffer[..scan.consumed]).await?;
                buffer.advance(scan.consumed);
                // An error of the proxy's own would have to follow from here.
                client.stream.set_seq(scanner.last_seq().wrapping_add(1));
            }
            return Ok(None);
        }
        let out = client.stream.write_buffer();
        out.extend_from_slice(&buffer[..replaced.start]);
        put_replaced(out, &buffer[replaced.clone()], &scan.stop, style);
        buffer.advance(scan.consumed);
        if matches!(scan.stop, Stop::LocalInfile(_)) {
            Box::pin(super::infile::pass_file(lane, client, watch, scanner.last_seq())).await?;
        }
    }
}

/// Appends a packet as the client is to see it; `frame` is the backend's, its sequence id rewritten already.
fn put_replaced(out: &mut BytesMut, frame: &[u8], stop: &Stop, style: &Style<'_>) {
    let start = out.len();
    out.extend_from_slice(&frame[..HEADER_LEN]);
    let payload = &frame[HEADER_LEN..];
    match (stop, style.names) {
        (Stop::PrepareOk(_, ok), _) => {
            PrepareOk { statement_id: style.statement_id, ..*ok }.put(out);
        }
        (Stop::Column(_), Some(names)) => match ColumnView::parse(payload) {
            Ok(column) => renamed(column, names).put(out),
            Err(_) => out.extend_from_slice(payload),
        },
        _ => out.extend_from_slice(payload),
    }
    let len = (out.len() - start - HEADER_LEN) as u32;
    out[start..start + 3].copy_from_slice(&len.to_le_bytes()[..3]);
}

/// A column with the names that the client knows. An alias (`table` differs from `org_table`) stays.
pub fn renamed<'a>(column: ColumnView<'a>, names: &'a dyn Names) -> ColumnView<'a> {
    match names.view(column.table) {
        Some(ViewLabel::System { view, prefixed_names }) => of_system_view(column, view, prefixed_names),
        Some(ViewLabel::Merged(view)) => ColumnView { org_table: view, ..of_table(column, names) },
        Some(ViewLabel::Made { schema, view }) if column.org_table.is_empty() => {
            ColumnView { schema, org_table: view, ..column }
        }
        Some(ViewLabel::Made { .. }) | None => of_table(column, names),
    }
}

fn of_table<'a>(column: ColumnView<'a>, names: &'a dyn Names) -> ColumnView<'a> {
    let Some((schema, table)) = names.logical(column.schema, column.org_table) else { return column };
    let alias = if column.table == column.org_table { table } else { column.table };
    let schema = if column.schema.is_empty() { column.schema } else { schema };
    ColumnView { schema, table: alias, org_table: table, ..column }
}

/// A column of a view of `information_schema` that was read through a derived table, labelled as the view labels it.
fn of_system_view<'a>(column: ColumnView<'a>, view: &'a [u8], prefixed: bool) -> ColumnView<'a> {
    /// What MariaDB says of the decimals of an expression.
    const NOT_FIXED_DEC: u8 = 39;
    /// Characters of a name of a table, and of one with the prefix `#mysql50#`.
    const NAME_CHARS: (u32, u32) = (64, 73);
    let mut flags = column.flags;
    if column.decimals == NOT_FIXED_DEC {
        flags = ColumnFlags(flags.0 | ColumnFlags::NO_DEFAULT_VALUE.0);
    }
    let decimals = if column.decimals == NOT_FIXED_DEC { 0 } else { column.decimals };
    let is_name = prefixed && column.org_name == b"TABLE_NAME";
    let length = if is_name { column.length / NAME_CHARS.0 * NAME_CHARS.1 } else { column.length };
    ColumnView { schema: b"information_schema", org_table: view, flags, decimals, length, ..column }
}

fn server_error(scanner: &ResultScanner, frame: &[u8]) -> Option<ServerError> {
    scanner.outcome().errno?;
    let payload = frame.get(HEADER_LEN..)?;
    let err = ErrPacket::parse(payload).ok()?;
    Some(ServerError {
        errno: err.errno,
        sqlstate: err.sqlstate_str().to_owned(),
        message: err.message_lossy().into_owned(),
    })
}

/// Whether an error is left to whoever asked: it is one of those, and all of the answer.
fn is_held(error: &ServerError, scanner: &ResultScanner, client: &Client, style: &Style<'_>) -> bool {
    let is_all = !scanner.outcome().had_columns && scanner.last_seq() == client.stream.seq();
    is_all && style.held.contains(&error.errno)
}

fn put_error(client: &mut Client, scanner: &ResultScanner, error: Option<&ServerError>, style: &Style<'_>) {
    let Some(error) = error else { return };
    let message = style.names.map_or_else(|| error.message.clone(), |names| names.restore_text(&error.message));
    let mut flat = crate::error::SqlError::client(error.errno, &error.sqlstate, message);
    flat.fault = crate::error::Fault::Backend;
    client.stream.set_seq(scanner.last_seq());
    client.put_error(&flat);
}

async fn finish(
    scanner: &ResultScanner,
    lane: &mut Lane,
    client: &mut Client,
    error: Option<ServerError>,
) -> Result<(), ExecuteError> {
    client.stream.set_seq(scanner.last_seq().wrapping_add(1));
    let seen = scanner.outcome();
    lane.note_outcome(Outcome {
        status: seen.status,
        warnings: seen.warnings,
        affected_rows: seen.affected_rows,
        insert_id: seen.last_insert_id,
        rows: seen.had_columns.then(|| scanner.rows()),
        info: String::new(),
        error,
    });
    Ok(())
}
