//! Writes on several shards: run everywhere, counts added up.

use futures_util::future::join_all;

use super::lane::{Head, Outcome, Request};
use super::{ExecuteError, Lane};

/// How the reports of several shards become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// Each shard changed rows of its own.
    Added,
    /// As `Added`, for an INSERT: a shard that got one row reports no counts in its text.
    OfRows,
    /// Each shard changed the same rows: one report stands for all.
    Same,
}

/// Runs each lane's requests in their order, all lanes at once, and puts together what they report. All lanes are waited
/// for, also after an error: what a shard has done must be known before it can be undone.
pub async fn run(lanes: &mut [Lane], requests: Vec<Vec<Request>>, sum: Sum) -> Result<Outcome, ExecuteError> {
    let results = join_all(lanes.iter_mut().zip(requests).map(|(lane, requests)| run_lane(lane, requests))).await;
    let mut total = Outcome::default();
    let mut info = Info::default();
    let mut reports = 0;
    for result in results {
        for outcome in result? {
            if sum == Sum::Same && reports > 0 {
                continue;
            }
            reports += 1;
            match sum {
                Sum::OfRows if outcome.info.is_empty() => info.add_single_row(outcome.affected_rows),
                _ => info.add(&outcome.info),
            }
            total.affected_rows = total.affected_rows.saturating_add(outcome.affected_rows);
            total.warnings = total.warnings.saturating_add(outcome.warnings);
            total.status = outcome.status;
            // A server reports the value of the last row; rows are mostly given in ascending order.
            total.insert_id = total.insert_id.max(outcome.insert_id);
        }
    }
    total.info = info.text(total.warnings);
    Ok(total)
}

async fn run_lane(lane: &mut Lane, requests: Vec<Request>) -> Result<Vec<Outcome>, ExecuteError> {
    let mut outcomes = Vec::with_capacity(requests.len());
    let mut requests = requests.into_iter().peekable();
    while let Some(request) = requests.next() {
        lane.send(&request).await?;
        if let Head::Rows(_) = lane.read_head().await? {
            while lane.read_row().await?.is_some() {}
        }
        if !matches!(request, Request::UseSchema(_) | Request::Command(_)) {
            outcomes.push(lane.outcome().clone());
        }
        if requests.peek().is_some() {
            // The next one would take their place.
            lane.keep_warnings().await;
        }
    }
    Ok(outcomes)
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

    /// Counts rows that match, of which there may be none.
    pub fn begin_matched(&mut self) {
        self.labels = Some(FORMS[0]);
    }

    /// A row on its own: 2 affected rows mean that it replaced or changed another, 0 that it was a duplicate.
    fn add_single_row(&mut self, affected_rows: u64) {
        self.labels = Some(FORMS[1]);
        self.first = self.first.saturating_add(1);
        self.second = self.second.saturating_add(u64::from(affected_rows != 1));
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

/// A server's text about a row of the part that it got, with the number that the row has in the whole: `at row 2`,
/// `Row 2 …`. `rows` are the numbers of the part's rows.
pub fn at_row(message: &str, rows: &[u32]) -> String {
    let begins = if message.starts_with("Row ") { Some(4) } else { None };
    let Some(at) = message.rfind(" at row ").map(|at| at + " at row ".len()).or(begins) else {
        return message.to_owned();
    };
    let digits = message[at..].bytes().take_while(u8::is_ascii_digit).count();
    let row = message[at..at + digits].parse::<usize>().ok().and_then(|row| rows.get(row.checked_sub(1)?));
    match row {
        Some(row) => format!("{}{row}{}", &message[..at], &message[at + digits..]),
        None => message.to_owned(),
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
