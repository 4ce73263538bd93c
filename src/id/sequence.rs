//! The row of a sequence: where it goes on, and which ids proxies have left.
//!
//! `shardloom.sequences` has a row per sequence: `next_id` is the first id that was not given out (0: it begins behind the
//! keys that are there), `held` the ranges that some proxy may still give, each until a time of the server's clock. A range
//! that has not been renewed by then is nobody's: its proxy asks before it goes on. So a sequence can begin anew at any
//! time, and steps over what others still have.
//!
//! The row is read, and written if it is still the same.

use std::ops::Range;

use super::{IdError, KeyMaker, SCHEMA};
use crate::backend::{Answer, BackendError, Backends, text};
use crate::config::GroupId;

/// The longest name of a sequence: schema and table with 64 characters each, and a dot.
const NAME_CHARACTERS: usize = 129;
/// How many ranges a row has at most: beyond, neighbours become one, and what lies between them is given out by nobody.
const MAX_HELD: usize = 64;
/// Room for so many: two ids of 20 digits, a time of 10, and what separates them.
const HELD_CHARACTERS: usize = MAX_HELD * 53;
/// What `held` is.
const HELD_COLUMN: &str = "CHARACTER SET ascii NOT NULL DEFAULT ''";

/// A range of ids that a proxy has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// The ids.
    pub ids: Range<u64>,
    /// Until when, in seconds of the server's clock.
    pub until_s: u64,
}

/// A row as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The first id that was not given out; 0 for the one behind the greatest key.
    pub next: u64,
    /// What proxies have.
    pub held: Vec<Held>,
    /// The server's clock.
    pub now_s: u64,
}

/// A row of `shardloom.sequences`.
pub(super) struct Sequence<'a> {
    pub maker: &'a KeyMaker,
    pub group: GroupId,
    pub backends: &'a Backends,
}

impl Sequence<'_> {
    /// The row; `None` if there is none.
    pub async fn read(&self) -> Result<Option<Row>, IdError> {
        let sql = format!(
            "SELECT next_id, held, UNIX_TIMESTAMP() FROM {SCHEMA}.sequences WHERE name = {}",
            quoted(&self.maker.sequence)
        );
        let answer = match self.backends.query(self.group, &sql).await {
            Ok(answer) => answer,
            // ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE
            Err(BackendError::Server(error)) if matches!(error.errno, 1049 | 1146) => return Ok(None),
            // ER_BAD_FIELD_ERROR: a table from before ranges were noted
            Err(BackendError::Server(error)) if error.errno == 1054 => {
                self.add_held().await?;
                return Err(IdError::NotReady);
            }
            Err(error) => return Err(unavailable(&error)),
        };
        let Some(row) = answer.rows.first() else { return Ok(None) };
        let number = |column| text(row, column).parse().map_err(|_| IdError::Unavailable("a broken row".to_owned()));
        Ok(Some(Row { next: number(0)?, held: parse(&text(row, 1)), now_s: number(2)? }))
    }

    /// Writes the row if it is still as it was read; whether it was.
    pub async fn write(&self, was: &Row, next: u64, held: &[Held]) -> Result<bool, IdError> {
        let (before, after) = (print(&was.held), print(held));
        if was.next == next && before == after {
            return Ok(true);
        }
        let sql = format!(
            "UPDATE {SCHEMA}.sequences SET next_id = {next}, held = '{after}' WHERE name = {} AND next_id = {} AND held = \
             '{before}'",
            quoted(&self.maker.sequence),
            was.next
        );
        Ok(self.run(&sql).await?.done.affected_rows > 0)
    }

    /// Makes the row of a sequence that begins behind the keys that are there.
    pub async fn make(&self) -> Result<(), IdError> {
        self.run(&format!("CREATE DATABASE IF NOT EXISTS {SCHEMA}")).await?;
        let table = format!(
            "CREATE TABLE IF NOT EXISTS {SCHEMA}.sequences (name VARCHAR({NAME_CHARACTERS}) CHARACTER SET utf8mb4 COLLATE \
             utf8mb4_bin NOT NULL PRIMARY KEY, next_id BIGINT UNSIGNED NOT NULL, held VARCHAR({HELD_CHARACTERS}) \
             {HELD_COLUMN}) ENGINE=InnoDB"
        );
        self.run(&table).await?;
        let name = quoted(&self.maker.sequence);
        self.run(&format!("INSERT IGNORE INTO {SCHEMA}.sequences (name, next_id) VALUES ({name}, 0)")).await?;
        Ok(())
    }

    /// The id behind the greatest key that the table has.
    pub async fn first(&self) -> Result<u64, IdError> {
        let mut greatest = 0_u64;
        for node in self.maker.nodes.iter() {
            let (column, schema, table) = (name(&self.maker.column), name(&node.schema), name(&node.table));
            let sql = format!("SELECT MAX({column}) FROM {schema}.{table}");
            let answer = self.backends.query(node.group, &sql).await.map_err(|error| unavailable(&error))?;
            let max = answer.rows.first().map(|row| text(row, 0).into_owned()).unwrap_or_default();
            greatest = greatest.max(max.parse().unwrap_or(0));
        }
        Ok(greatest.saturating_add(1))
    }

    async fn add_held(&self) -> Result<(), IdError> {
        let sql = format!("ALTER TABLE {SCHEMA}.sequences ADD COLUMN held VARCHAR({HELD_CHARACTERS}) {HELD_COLUMN}");
        match self.backends.query(self.group, &sql).await {
            // ER_DUP_FIELDNAME: another proxy was faster
            Err(BackendError::Server(error)) if error.errno == 1060 => Ok(()),
            Err(error) => Err(unavailable(&error)),
            Ok(_) => Ok(()),
        }
    }

    async fn run(&self, sql: &str) -> Result<Answer, IdError> {
        self.backends.query(self.group, sql).await.map_err(|error| unavailable(&error))
    }
}

fn unavailable(error: &BackendError) -> IdError {
    IdError::Unavailable(error.to_string())
}

/// The start of the next `size` ids from `from` on that none of these ranges has one of.
pub(super) fn free(mut from: u64, size: u64, held: &[Held]) -> u64 {
    let taken = |from: u64| held.iter().find(|held| held.ids.start < from.saturating_add(size) && from < held.ids.end);
    while let Some(held) = taken(from) {
        from = held.ids.end;
    }
    from
}

/// The ranges in as many as a row has room for.
pub(super) fn bounded(mut held: Vec<Held>, now_s: u64) -> Vec<Held> {
    if held.len() > MAX_HELD {
        held.retain(|held| held.until_s > now_s);
    }
    held.sort_by_key(|held| held.ids.start);
    while held.len() > MAX_HELD {
        let gap = |at: &usize| held[at + 1].ids.start.saturating_sub(held[*at].ids.end);
        let Some(at) = (0..held.len() - 1).min_by_key(gap) else { break };
        let next = held.remove(at + 1);
        held[at].ids.end = held[at].ids.end.max(next.ids.end);
        held[at].until_s = held[at].until_s.max(next.until_s);
    }
    held
}

/// `start-end@until`, separated by commas.
fn print(held: &[Held]) -> String {
    let one = |held: &Held| format!("{}-{}@{}", held.ids.start, held.ids.end, held.until_s);
    held.iter().map(one).collect::<Vec<_>>().join(",")
}

/// What is printed so; what is not is nobody's.
fn parse(text: &str) -> Vec<Held> {
    let one = |text: &str| {
        let (ids, until) = text.split_once('@')?;
        let (start, end) = ids.split_once('-')?;
        Some(Held { ids: start.parse().ok()?..end.parse().ok()?, until_s: until.parse().ok()? })
    };
    text.split(',').filter_map(one).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn name(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(ids: Range<u64>, until_s: u64) -> Held {
        Held { ids, until_s }
    }

    #[test]
    fn ranges_are_read_as_they_were_written() {
        let ranges = vec![held(1..101, 1_700_000_000), held(501..u64::MAX, 1)];
        assert_eq!(print(&ranges), "1-101@1700000000,501-18446744073709551615@1");
        assert_eq!(parse(&print(&ranges)), ranges);
        assert_eq!(parse(""), []);
        assert_eq!(parse("1-x@3,5-6@7"), [held(5..6, 7)]);
    }

    #[test]
    fn what_others_have_is_stepped_over() {
        let others = [held(11..21, 0), held(25..30, 0)];
        assert_eq!(free(1, 10, &others), 1);
        assert_eq!(free(1, 11, &others), 30);
        assert_eq!(free(1, 4, &others), 1);
        assert_eq!(free(9, 4, &others), 21);
        assert_eq!(free(21, 4, &others), 21);
        assert_eq!(free(22, 4, &others), 30);
    }

    #[test]
    fn a_row_has_room_for_all_its_ranges() {
        let many = |until| (0..200_u64).map(|at| held(at * 10..at * 10 + 5, until)).collect::<Vec<_>>();
        assert_eq!(bounded(many(1), 2), []);
        let left = bounded(many(u64::MAX), 2);
        assert_eq!(left.len(), MAX_HELD);
        assert!(print(&left).len() <= HELD_CHARACTERS);
        for range in many(3) {
            assert!(left.iter().any(|held| held.ids.start <= range.ids.start && range.ids.end <= held.ids.end));
        }
    }
}
