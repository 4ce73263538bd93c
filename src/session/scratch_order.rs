//! In which order table references are brought into temporary tables, and what one that was brought says of the next.
//!
//! What is expected to be tiny comes first, then what a small one says something of, then what has conditions, each from the
//! smallest on. Of a reference that must equal a small one in some column, only the rows with that one's values are read.

use bytes::Bytes;

use crate::execute::own_query::query_rows;
use crate::execute::{ExecuteError, Lane};
use crate::plan::types::{LinkValues, ScratchLink, ScratchRead, Text};

/// A reference of up to so many rows is small: its values go along in the text of a statement. Servers look up each member
/// of such a list in an index.
const SMALL_ROWS: u64 = 10_000;
/// The longest such list: a statement must fit into the servers' `max_allowed_packet`.
const MAX_LIST_BYTES: usize = 1 << 20;
/// A reference that is expected to bring no more rows than this is read before those that it can make smaller.
const TINY_ROWS: f64 = 1_000.0;
/// A temporary table of more rows is analyzed.
const ANALYZED_ROWS: u64 = 1_000;

/// Which references have been brought, and how many rows each has.
pub(super) struct Filled {
    rows: Vec<Option<u64>>,
    /// How many each is expected to have.
    expected: Vec<Option<f64>>,
}

impl Filled {
    /// None yet.
    pub fn new(expected: Vec<Option<f64>>) -> Self {
        Self { rows: vec![None; expected.len()], expected }
    }

    /// Notes that a reference has been brought.
    pub fn note(&mut self, read: usize, rows: u64) {
        if let Some(slot) = self.rows.get_mut(read) {
            *slot = Some(rows);
        }
    }

    /// The reference to bring next.
    pub fn next(&self, reads: &[ScratchRead]) -> Option<usize> {
        let rank = |read: usize| {
            let rows = self.expected.get(read).copied().flatten().unwrap_or(f64::INFINITY);
            let kind = match &reads[read] {
                _ if rows <= TINY_ROWS => 0,
                one if self.small_links(one).next().is_some() => 1,
                one if one.filtered => 2,
                _ => 3,
            };
            (kind, rows)
        };
        let before = |one: &(u8, f64), other: &(u8, f64)| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1));
        let waiting = (0..reads.len()).filter(|read| self.rows[*read].is_none());
        waiting.map(|read| (rank(read), read)).min_by(|(one, _), (other, _)| before(one, other)).map(|(_, read)| read)
    }

    fn small_links<'a>(&'a self, read: &'a ScratchRead) -> impl Iterator<Item = &'a ScratchLink> {
        let is_small = |rows: &Option<u64>| rows.is_some_and(|rows| rows <= SMALL_ROWS);
        read.links.iter().filter(move |link| self.rows.get(link.other).is_some_and(is_small))
    }

    /// Has the server count the values of the larger tables: of a temporary table it knows nothing by itself, and would
    /// take any index for one that leads to a single row.
    pub async fn analyze(&self, lane: &mut Lane, reads: &[ScratchRead]) -> Result<(), ExecuteError> {
        let is_large = |rows: &Option<u64>| rows.is_some_and(|rows| rows > ANALYZED_ROWS);
        let large = reads.iter().zip(&self.rows).filter(|(_, rows)| is_large(rows));
        let names: Vec<String> = large.map(|(read, _)| quoted(&read.table.name)).collect();
        if names.is_empty() || reads.len() == 1 {
            return Ok(());
        }
        match query_rows(lane, &format!("ANALYZE NO_WRITE_TO_BINLOG TABLE {}", names.join(", ")), usize::MAX).await {
            Err(error) if error.is_backend_lost() => Err(error),
            // it goes without
            _ => Ok(()),
        }
    }

    /// What the small references on `lane` say of the rows of `read` that matter.
    pub async fn condition(
        &self,
        lane: &mut Lane,
        reads: &[ScratchRead],
        read: &ScratchRead,
    ) -> Result<Option<String>, ExecuteError> {
        let mut conditions = Vec::new();
        for link in self.small_links(read) {
            let Some(other) = reads.get(link.other) else { continue };
            let column = quoted(&link.other_column);
            let table = quoted(&other.table.name);
            let sql = format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL");
            let (_, rows) = query_rows(lane, &sql, usize::MAX).await?;
            let values = rows.iter().filter_map(|row| row.first()?.as_deref());
            let values: Option<Vec<String>> = values.map(|value| literal(link.values, value)).collect();
            let Some(values) = values.map(|values| values.join(",")) else { continue };
            match values.len() {
                0 => conditions.push("FALSE".to_owned()),
                1..=MAX_LIST_BYTES => conditions.push(format!("{} IN ({values})", quoted(&link.column))),
                _ => {}
            }
        }
        Ok((!conditions.is_empty()).then(|| conditions.join(" AND ")))
    }
}

/// A read whose statements have all their parts.
pub(super) fn ready_read(read: &ScratchRead, condition: Option<&str>) -> ScratchRead {
    let mut read = read.clone();
    for shard in &mut read.shards {
        let mut sql = shard.sql.bytes(b"").to_vec();
        if let Some(condition) = condition {
            sql.extend_from_slice(if read.filtered { b" AND " } else { b" WHERE " });
            sql.extend_from_slice(condition.as_bytes());
        }
        sql.extend_from_slice(read.lock.as_bytes());
        shard.sql = Text::Rewritten(Bytes::from(sql));
    }
    read
}

/// A value as a literal; `None` if a server may not take it.
fn literal(kind: LinkValues, value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    match kind {
        LinkValues::Numbers => Some(text.into_owned()),
        // In strict mode MySQL finds no row by such a literal in a list, without an error.
        LinkValues::Dates if text.starts_with("0000") || text.contains("-00") => None,
        LinkValues::Dates => Some(format!("'{text}'")),
        LinkValues::Texts => {
            let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("_utf8mb4 x'{digits}'"))
        }
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
