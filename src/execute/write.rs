//! Writes on several shards: run everywhere, counts added up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;

use super::diagnostics::{Diagnostic, MAX_DIAGNOSTICS};
use super::lane::{Head, Outcome, Request};
use super::{ExecuteError, Lane};
use crate::backend::{BackendError, ServerError};
use crate::protocol::column::ColumnDef;

/// How the reports of several shards become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sum {
    /// What they tell is added up.
    Added,
    /// As `Added`, for an INSERT: a shard that got one row reports no counts in its text.
    OfRows {
        /// A row that changed nothing is a duplicate that was left out (IGNORE).
        unchanged_is_duplicate: bool,
        /// Columns for which a row says DEFAULT: that they have none is told of each such row.
        defaulted: Arc<[Box<str>]>,
    },
}

impl Sum {
    fn defaulted(&self) -> &[Box<str>] {
        match self {
            Self::OfRows { defaulted, .. } => defaulted,
            _ => &[],
        }
    }
}

/// A statement for a lane.
#[derive(Debug)]
pub struct Step {
    /// What is sent.
    pub request: Request,
    /// The numbers that its rows have in the client's statement; none where they do not matter.
    pub rows: Option<Arc<[u32]>>,
    /// It does to a copy of a broadcast table what another one does to the first copy, whose report stands for both.
    pub repeats: bool,
}

impl Step {
    /// A statement whose rows are not counted.
    pub fn new(request: Request) -> Self {
        Self { request, rows: None, repeats: false }
    }
}

/// What the lanes' statements came to together.
#[derive(Debug, Default)]
pub struct Written {
    /// Counts, insert id and info.
    pub outcome: Outcome,
    /// The first warnings, in the order of the rows where that is told.
    pub warnings: Vec<Diagnostic>,
    /// What RETURNING gives.
    pub returned: Option<Returned>,
}

/// The rows of RETURNING, held until all of them are there: an error on a later shard takes the answer's place.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Returned {
    /// The columns, as the first shard describes them.
    pub columns: Vec<ColumnDef>,
    /// The rows, in the protocol of the request.
    pub rows: Vec<Bytes>,
}

/// Columns, and rows with their numbers in the client's statement.
type NumberedRows = (Vec<ColumnDef>, Vec<(u32, Bytes)>);

/// What one statement came to.
struct Report {
    outcome: Outcome,
    warnings: Vec<Diagnostic>,
    rows: Option<Arc<[u32]>>,
    returned: Option<Returned>,
}

/// What the rows of RETURNING may still take.
struct Room {
    limit_bytes: usize,
    taken_bytes: AtomicUsize,
}

impl Room {
    fn take(&self, bytes: usize) -> Result<(), ExecuteError> {
        let taken = self.taken_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if taken > self.limit_bytes { Err(ExecuteError::TooLarge { limit_bytes: self.limit_bytes }) } else { Ok(()) }
    }
}

/// Runs each lane's statements in their order, all lanes at once, and puts together what they report. All lanes are waited
/// for, also after an error: what a shard has done must be known before it can be undone. Of several errors that of the
/// earliest row counts. The rows of RETURNING take up to `held_bytes`.
pub async fn run(
    lanes: &mut [Lane],
    steps: Vec<Vec<Step>>,
    sum: Sum,
    held_bytes: usize,
) -> Result<Written, ExecuteError> {
    let room = Room { limit_bytes: held_bytes, taken_bytes: AtomicUsize::new(0) };
    let results = join_all(lanes.iter_mut().zip(steps).map(|(lane, steps)| run_lane(lane, steps, &room))).await;
    let mut reports = Vec::new();
    let mut first: Option<(u32, ExecuteError)> = None;
    for result in results {
        match result {
            Ok(of_lane) => reports.extend(of_lane),
            Err((row, error)) => {
                if first.as_ref().is_none_or(|(known, _)| row < *known) {
                    first = Some((row, error));
                }
            }
        }
    }
    match first {
        Some((_, error)) => Err(error),
        None => Ok(put_together(reports, sum)),
    }
}

fn put_together(reports: Vec<Report>, sum: Sum) -> Written {
    let mut total = Outcome::default();
    let mut info = Info::default();
    let mut warnings: Vec<Diagnostic> = Vec::new();
    let mut returned: Option<NumberedRows> = None;
    let is_one = reports.len() == 1;
    // the greatest number of a row so far
    let mut last_row = 0;
    for report in reports {
        let outcome = report.outcome;
        match &sum {
            Sum::OfRows { unchanged_is_duplicate, .. } if outcome.info.is_empty() && !is_one => {
                info.add_single_row(outcome.affected_rows, *unchanged_is_duplicate);
            }
            _ => info.add(&outcome.info),
        }
        total.affected_rows = total.affected_rows.saturating_add(outcome.affected_rows);
        total.status = outcome.status;
        let told = report.warnings.len();
        let mut news = report.warnings;
        keep_news(&warnings, &mut news, sum.defaulted());
        // a server gave each of its statements what is told once
        let again = u16::try_from(told - news.len()).unwrap_or(u16::MAX);
        total.warnings = total.warnings.saturating_add(outcome.warnings.saturating_sub(again));
        // a server reports the value of the last row
        match report.rows.as_deref().and_then(<[u32]>::last) {
            Some(row) if outcome.insert_id != 0 && *row >= last_row => {
                (last_row, total.insert_id) = (*row, outcome.insert_id);
            }
            Some(_) => {}
            None => total.insert_id = total.insert_id.max(outcome.insert_id),
        }
        warnings.extend(news);
        if let Some(Returned { columns, rows }) = report.returned {
            let (_, all) = returned.get_or_insert((columns, Vec::new()));
            all.extend(
                rows.into_iter()
                    .enumerate()
                    .map(|(at, row)| (place_of(report.rows.as_deref().unwrap_or_default(), at), row)),
            );
        }
    }
    // in the order of the statement's rows; the sort is stable
    let returned = returned.map(|(columns, mut rows)| {
        rows.sort_by_key(|(place, _)| *place);
        total.rows = Some(rows.len() as u64);
        Returned { columns, rows: rows.into_iter().map(|(_, row)| row).collect() }
    });
    if warnings.iter().all(|warning| row_of(&warning.message).is_some()) {
        warnings.sort_by_key(|warning| row_of(&warning.message));
    }
    warnings.truncate(MAX_DIAGNOSTICS);
    total.info = info.text(total.warnings);
    Written { outcome: total, warnings, returned }
}

/// The number that a part's row has in the whole. A part that left rows out (IGNORE) returns fewer than it was given; then
/// the order is about that of the statement, as no server promises more.
fn place_of(rows: &[u32], at: usize) -> u32 {
    rows.get(at).or(rows.last()).copied().unwrap_or_default()
}

/// ER_NO_DEFAULT_FOR_FIELD.
const NO_DEFAULT: u16 = 1364;

/// Takes out what was told before and one server tells once for all rows; but not that a column has no default, where it is
/// one of those for which rows say DEFAULT.
pub fn keep_news(known: &[Diagnostic], warnings: &mut Vec<Diagnostic>, defaulted: &[Box<str>]) {
    let is_of_rows = |warning: &Diagnostic| {
        let name = warning.message.split('\'').nth(1).unwrap_or_default();
        warning.code == NO_DEFAULT && defaulted.iter().any(|column| column.eq_ignore_ascii_case(name))
    };
    warnings.retain(|warning| {
        !warning.is_told_once
            || is_of_rows(warning)
            || !known.iter().any(|known| known.code == warning.code && known.message == warning.message)
    });
}

/// Runs a lane's statements. An error comes with the number of the row that it is about, or of the first one that its
/// statement has. Behind an error that undid its own statement alone, those statements run too that have an earlier row: one
/// server would have met their errors first.
async fn run_lane(lane: &mut Lane, steps: Vec<Step>, room: &Room) -> Result<Vec<Report>, (u32, ExecuteError)> {
    let mut reports = Vec::with_capacity(steps.len());
    let mut failed: Option<(u32, ExecuteError)> = None;
    for step in steps {
        let rows = step.rows.as_deref().unwrap_or_default();
        let first = rows.first().copied().unwrap_or(u32::MAX);
        let is_setup = matches!(step.request, Request::UseSchema(_));
        if failed.as_ref().is_some_and(|(row, error)| !is_setup && (first >= *row || !is_about_a_row(error))) {
            continue;
        }
        let (outcome, returned) = match run_step(lane, &step.request, room).await.map_err(|error| of_row(error, rows)) {
            Ok(done) => done,
            Err((row, error)) => {
                if failed.as_ref().is_none_or(|(known, known_error)| row < *known && is_about_a_row(known_error)) {
                    failed = Some((row, error));
                }
                continue;
            }
        };
        if failed.is_some() || step.repeats {
            continue;
        }
        if matches!(step.request, Request::UseSchema(_) | Request::Command(_)) {
            continue;
        }
        let warnings = match outcome.warnings {
            0 => Vec::new(),
            _ => warnings_of(lane, rows).await,
        };
        lane.restore_outcome(outcome.clone());
        reports.push(Report { outcome, warnings, rows: step.rows, returned });
    }
    failed.map_or(Ok(reports), Err)
}

/// Whether an error is about a row that cannot be as it is told: such an error undoes its own statement and nothing else.
fn is_about_a_row(error: &ExecuteError) -> bool {
    /// ER_BAD_NULL_ERROR, ER_DUP_ENTRY, ER_WARN_DATA_OUT_OF_RANGE, WARN_DATA_TRUNCATED, ER_TRUNCATED_WRONG_VALUE,
    /// ER_NO_DEFAULT_FOR_FIELD, ER_DIVISION_BY_ZERO, ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, ER_DATA_TOO_LONG,
    /// ER_NO_REFERENCED_ROW_2, ER_DUP_ENTRY_WITH_KEY_NAME, ER_DATA_OUT_OF_RANGE, ER_CHECK_CONSTRAINT_VIOLATED, and
    /// MariaDB's ER_CONSTRAINT_FAILED.
    const OF_ROWS: [u16; 14] = [1048, 1062, 1264, 1265, 1292, 1364, 1365, 1366, 1406, 1452, 1586, 1690, 3819, 4025];
    matches!(error, ExecuteError::Backend(BackendError::Server(server)) if OF_ROWS.contains(&server.errno))
}

async fn run_step(
    lane: &mut Lane,
    request: &Request,
    room: &Room,
) -> Result<(Outcome, Option<Returned>), ExecuteError> {
    lane.send(request).await?;
    let mut returned = None;
    if let Head::Rows(columns) = lane.read_head().await? {
        let mut rows = Vec::new();
        let mut has_room = Ok(());
        // past the bound the answer is still read to its end: the statement is undone behind it
        while let Some(row) = lane.read_row().await? {
            has_room = has_room.and_then(|()| room.take(row.len()));
            if has_room.is_ok() {
                rows.push(row);
            }
        }
        has_room?;
        returned = Some(Returned { columns, rows });
    }
    Ok((lane.outcome().clone(), returned))
}

/// The warnings of the statement that just ran, their rows counted over the whole statement.
async fn warnings_of(lane: &mut Lane, rows: &[u32]) -> Vec<Diagnostic> {
    lane.keep_warnings().await;
    let warnings = std::mem::take(lane.diagnostics());
    let renumbered = |warning: Diagnostic| Diagnostic { message: at_row(&warning.message, rows), ..warning };
    warnings.into_iter().map(renumbered).collect()
}

/// An error, with the row that it names counted over the whole statement.
fn of_row(error: ExecuteError, rows: &[u32]) -> (u32, ExecuteError) {
    let begin = rows.first().copied().unwrap_or(u32::MAX);
    match error {
        ExecuteError::Backend(BackendError::Server(server)) => {
            let message = at_row(&server.message, rows);
            let row = row_of(&message).filter(|_| !rows.is_empty()).unwrap_or(begin);
            (row, ExecuteError::Backend(BackendError::Server(ServerError { message, ..server })))
        }
        // what took a connection down hides what else went wrong
        other => (0, other),
    }
}

/// Where the number of a row stands in a server's text: `at row 2`, `Row 2 …`.
fn row_place(message: &str) -> Option<std::ops::Range<usize>> {
    let begins = message.starts_with("Row ").then_some("Row ".len());
    let at = message.rfind(" at row ").map(|at| at + " at row ".len()).or(begins)?;
    let digits = message[at..].bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then_some(at..at + digits)
}

fn row_of(message: &str) -> Option<u32> {
    message[row_place(message)?].parse().ok()
}

/// A server's text about a row of the part that it got, with the number that the row has in the whole. `rows` are the
/// numbers of the part's rows.
pub fn at_row(message: &str, rows: &[u32]) -> String {
    let renumbered = || {
        let place = row_place(message)?;
        let row = rows.get(message[place.clone()].parse::<usize>().ok()?.checked_sub(1)?)?;
        Some(format!("{}{row}{}", &message[..place.start], &message[place.end..]))
    };
    renumbered().unwrap_or_else(|| message.to_owned())
}

/// The numbers of `Rows matched: 1  Changed: 1  Warnings: 0` or `Records: 3  Duplicates: 0  Warnings: 0`, added up.
#[derive(Debug, Default)]
pub struct Info {
    labels: Option<(&'static str, &'static str)>,
    first: u64,
    second: u64,
}

const FORMS: &[(&str, &str)] = &[("Rows matched", "Changed"), ("Records", "Duplicates")];

impl Info {
    /// Counts records, of which there may be none.
    pub fn begin_records(&mut self) {
        self.labels = Some(FORMS[1]);
    }

    /// Whether it counts records.
    pub fn counts_records(&self) -> bool {
        self.labels == Some(FORMS[1])
    }

    /// Counts rows that match, of which there may be none.
    pub fn begin_matched(&mut self) {
        self.labels = Some(FORMS[0]);
    }

    /// A row on its own: 2 affected rows mean that it replaced or changed another, 0 that it was a duplicate which was
    /// left out, or that it changed nothing.
    pub fn add_single_row(&mut self, affected_rows: u64, unchanged_is_duplicate: bool) {
        self.labels = Some(FORMS[1]);
        self.first = self.first.saturating_add(1);
        let duplicate = affected_rows > 1 || (affected_rows == 0 && unchanged_is_duplicate);
        self.second = self.second.saturating_add(u64::from(duplicate));
    }

    /// Adds the numbers of one text.
    pub fn add(&mut self, text: &str) {
        for form in FORMS {
            if let (Some(first), Some(second)) = (number_after(text, form.0), number_after(text, form.1)) {
                self.labels = Some(*form);
                self.first = self.first.saturating_add(first);
                self.second = self.second.saturating_add(second);
            }
        }
    }

    /// The text as one server writes it, two blanks between the parts.
    pub fn text(&self, warnings: u16) -> String {
        self.labels.map_or_else(String::new, |(first, second)| {
            format!("{first}: {}  {second}: {}  Warnings: {warnings}", self.first, self.second)
        })
    }
}

/// The number behind a label: 3 of `Records: 3`.
pub fn number_after(text: &str, label: &str) -> Option<u64> {
    let rest = text.split_once(label)?.1.trim_start_matches([':', ' ']);
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_part_have_their_numbers_in_the_whole() {
        assert_eq!(at_row("Data too long for column 'a' at row 2", &[1, 7]), "Data too long for column 'a' at row 7");
        assert_eq!(at_row("Row 1 was truncated", &[5]), "Row 5 was truncated");
        assert_eq!(at_row("Duplicate entry '1'", &[5]), "Duplicate entry '1'");
        assert_eq!(at_row("x at row 3", &[5]), "x at row 3");
    }

    #[test]
    fn info_texts_are_added_up() {
        let mut info = Info::default();
        info.add("Rows matched: 2  Changed: 1  Warnings: 0");
        info.add("Rows matched: 3  Changed: 3  Warnings: 0");
        assert_eq!(info.text(1), "Rows matched: 5  Changed: 4  Warnings: 1");
        let mut info = Info::default();
        info.add("Records: 2  Duplicates: 1  Warnings: 0");
        info.add("");
        assert_eq!(info.text(0), "Records: 2  Duplicates: 1  Warnings: 0");
    }
}
