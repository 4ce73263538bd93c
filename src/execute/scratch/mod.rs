//! Temporary tables on one server, filled with the rows of shards.
//!
//! Rows come as text in their columns' own character sets. The first batch of them is a multi-row INSERT; if there are more,
//! they are the file of a LOAD DATA LOCAL, or INSERTs too where the server allows no such file. While a batch is on its
//! way the next is put together, so that two are all that is held in memory.

mod insert;
mod load;

use futures_util::future::try_join;

use super::gather::{Gather, Progress};
use super::{ExecuteError, Lane};
use crate::plan::types::{CellText, ScratchTable};
use crate::protocol::{ColumnDef, ColumnType};
use insert::Batch;

/// What one query may bring to the scratch server, and how much of it is left.
#[derive(Debug, Clone)]
pub struct Budget {
    /// `scratch.max_rows`.
    pub max_rows: u64,
    /// `scratch.max_bytes`.
    pub max_bytes: u64,
    rows: u64,
    bytes: u64,
    warnings: u64,
}

impl Budget {
    /// Nothing brought yet.
    pub fn new(max_rows: u64, max_bytes: u64) -> Self {
        Self { max_rows, max_bytes, rows: 0, bytes: 0, warnings: 0 }
    }

    fn take(&mut self, batch: &Batch<'_>) -> Result<(), ExecuteError> {
        self.copied(batch.rows(), batch.bytes() as u64)
    }

    /// Counts a table that is copied on the server as if it were brought once more.
    pub fn copied(&mut self, rows: u64, bytes: u64) -> Result<(), ExecuteError> {
        self.rows += rows;
        self.bytes += bytes;
        if self.rows > self.max_rows {
            return Err(ExecuteError::ScratchLimit { what: "rows", key: "max_rows", limit: self.max_rows });
        }
        if self.bytes > self.max_bytes {
            return Err(ExecuteError::ScratchLimit { what: "bytes", key: "max_bytes", limit: self.max_bytes });
        }
        Ok(())
    }

    /// What the server warned of while rows were put in.
    pub fn warnings(&self) -> u64 {
        self.warnings
    }

    /// Rows and bytes brought so far.
    pub fn used(&self) -> (u64, u64) {
        (self.rows, self.bytes)
    }
}

/// Brings all rows of `gather` into a temporary table on `lane`. An error of the server that the rows come from leaves
/// `lane` ready for another statement; one in the middle of an INSERT does not.
pub async fn fill(
    gather: &mut Gather,
    lane: &mut Lane,
    table: &ScratchTable,
    budget: &mut Budget,
) -> Result<(), ExecuteError> {
    check_numbers(gather.columns(), table)?;
    let mut may_load = !table.needs_insert;
    let mut ready = Batch::insert(table);
    let mut progress = gather.advance(&mut ready).await?;
    loop {
        budget.take(&ready)?;
        let Some(sql) = ready.finish().map_err(|error| lane.malformed(&error))? else { return Ok(()) };
        ready = Batch::insert(table);
        if may_load && progress == Progress::SinkFull {
            // more than a batch: it is worth a file
            lane.run(&sql).await?;
            budget.warnings += u64::from(lane.outcome().warnings);
            may_load = load::load(gather, lane, table, budget).await?;
            if may_load {
                return Ok(());
            }
            progress = gather.advance(&mut ready).await?;
            continue;
        }
        let more = async {
            match progress {
                Progress::Done => Ok(Progress::Done),
                Progress::SinkFull => gather.advance(&mut ready).await,
            }
        };
        (progress, ()) = try_join(more, lane.run(&sql)).await?;
        budget.warnings += u64::from(lane.outcome().warnings);
    }
}

/// What is written as a number must come as one. It does not where the table was defined anew since the query was planned, as
/// another proxy may have done, or where a temporary table hides it.
fn check_numbers(columns: &[ColumnDef], table: &ScratchTable) -> Result<(), ExecuteError> {
    let is_number = |kind: ColumnType| kind.is_integer() || kind.is_decimal() || matches!(kind, ColumnType::DOUBLE);
    let fits = |(column, cell): (&ColumnDef, &CellText)| {
        *cell != CellText::Plain || column.kind == ColumnType::NULL || is_number(column.kind)
    };
    if columns.iter().zip(&table.cells).all(fits) { Ok(()) } else { Err(ExecuteError::DefinitionChanged) }
}
