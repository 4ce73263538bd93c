//! Queries of the proxy's own, beside the client's statement on the same connection.

use bytes::Bytes;

use super::lane::Head;
use super::{ExecuteError, Lane};
use crate::protocol::column::ColumnDef;
use crate::protocol::text_row;

/// The cells of a text row; `None` for NULL.
pub type Cells = Vec<Option<Bytes>>;

/// Runs a query of the proxy's own; keeps at most `limit` rows.
pub async fn query_rows(
    lane: &mut Lane,
    query: &str,
    limit: usize,
) -> Result<(Vec<ColumnDef>, Vec<Cells>), ExecuteError> {
    lane.send_query(query.as_bytes()).await?;
    let Head::Rows(columns) = lane.read_head().await? else { return Ok((Vec::new(), Vec::new())) };
    let mut rows = Vec::new();
    while let Some(row) = lane.read_row().await? {
        if rows.len() < limit {
            let cells = text_row::cells(&row).map(|cell| cell.map(|cell| cell.map(Bytes::copy_from_slice)));
            rows.push(cells.collect::<Result<Cells, _>>().map_err(|error| lane.malformed(&error))?);
        }
    }
    Ok((columns, rows))
}
