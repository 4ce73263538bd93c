//! Rows as the file of a LOAD DATA LOCAL, sent as they come.

use futures_util::future::try_join;

use super::Budget;
use super::insert::Batch;
use crate::backend::{BackendError, ServerError};
use crate::execute::gather::{Gather, Progress};
use crate::execute::infile::{LOCAL_INFILE, PACKET_BYTES};
use crate::execute::{ExecuteError, Lane};
use crate::plan::types::ScratchTable;
use crate::protocol::ProtocolError;
use crate::protocol::err::is_err;

/// What servers say that allow no LOCAL files: ER_NOT_ALLOWED_COMMAND, ER_CLIENT_LOCAL_FILES_DISABLED,
/// ER_LOAD_INFILE_CAPABILITY_DISABLED (MariaDB).
const NOT_ALLOWED: &[u16] = &[1148, 3948, 4166];
/// ER_DUP_ENTRY.
const DUPLICATE: u16 = 1062;

/// Brings the rest of the rows of `gather` into a temporary table; false, and none of them, if the server takes no file.
/// A LOCAL file's rows with a key that is there already are left out by the server; that is an error here.
pub(super) async fn load(
    gather: &mut Gather,
    lane: &mut Lane,
    table: &ScratchTable,
    budget: &mut Budget,
) -> Result<bool, ExecuteError> {
    lane.send_query(&Batch::load_statement(table)).await?;
    lane.read_preludes().await?;
    let packet = lane.read_packet().await?;
    if is_err(&packet) {
        return match lane.finish_load(&packet) {
            Err(ExecuteError::Backend(BackendError::Server(error))) if NOT_ALLOWED.contains(&error.errno) => Ok(false),
            Err(error) => Err(error),
            Ok(_) => Ok(false),
        };
    }
    if packet.first() != Some(&LOCAL_INFILE) {
        lane.discard();
        return Err(lane.malformed(&ProtocolError::Malformed { what: "an answer to LOAD DATA" }));
    }
    let rows = send_rows(gather, lane, table, budget).await?;
    let conn = lane.conn()?;
    conn.stream().queue(&[]);
    conn.flush().await?;
    let packet = lane.read_packet().await?;
    let outcome = lane.finish_load(&packet)?;
    budget.warnings += u64::from(outcome.warnings);
    if outcome.affected_rows != rows {
        let (sqlstate, message) = ("23000".to_owned(), format!("Duplicate entry in '{}'", table.name));
        return Err(BackendError::Server(ServerError { errno: DUPLICATE, sqlstate, message }).into());
    }
    Ok(true)
}

/// Sends the rows of `gather` as parts of the file; gives their number.
async fn send_rows(
    gather: &mut Gather,
    lane: &mut Lane,
    table: &ScratchTable,
    budget: &mut Budget,
) -> Result<u64, ExecuteError> {
    let mut rows = 0;
    let mut ready = Batch::lines(table);
    let mut progress = gather.advance(&mut ready).await?;
    loop {
        budget.take(&ready)?;
        rows += ready.rows();
        let lines = ready.finish().map_err(|error| lane.malformed(&error))?.unwrap_or_default();
        ready = Batch::lines(table);
        let is_last = progress == Progress::Done;
        let more = async { if is_last { Ok(Progress::Done) } else { gather.advance(&mut ready).await } };
        let send = async {
            let conn = lane.conn()?;
            for part in lines.chunks(PACKET_BYTES) {
                conn.stream().queue(part);
                conn.flush().await?;
            }
            Ok(())
        };
        (progress, ()) = try_join(more, send).await?;
        if is_last {
            return Ok(rows);
        }
    }
}
