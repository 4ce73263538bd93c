//! LOAD DATA LOCAL INFILE (`page_protocol_com_query_response_local_infile_request.html`): the client's file passes to one
//! backend through a relay, or is asked for by the proxy, which gives each backend its part.

use super::lane::Outcome;
use super::{Client, ExecuteError, Lane, Watch};
use crate::net::MAX_WIRE_PAYLOAD;
use crate::protocol::err::is_err;

/// The first byte of the packet that asks for a file.
pub(super) const LOCAL_INFILE: u8 = 0xFB;
/// A packet of a file to a backend: far below what any server refuses.
pub(super) const PACKET_BYTES: usize = 1 << 20;

/// Passes the client's packets to the backend up to and including the empty one that ends the file. `last_seq` is the
/// sequence id of the request, which the client's first packet continues.
pub async fn pass_file(
    lane: &mut Lane,
    client: &mut Client,
    watch: Watch<'_>,
    last_seq: u8,
) -> Result<(), ExecuteError> {
    client.flush().await.map_err(ExecuteError::ClientLost)?;
    client.stream.set_seq(last_seq.wrapping_add(1));
    lane.conn()?.stream().set_seq(2);
    loop {
        let packet = watch.read_packet(client).await?;
        lane.conn()?.stream().queue(&packet);
        watch.guard(client, async { Ok(lane.conn()?.flush().await?) }).await?;
        if packet.is_empty() {
            return Ok(());
        }
    }
}

/// Asks the client for a file. Its packets follow, an empty one last.
pub async fn ask_for(client: &mut Client, file: &[u8]) -> Result<(), ExecuteError> {
    client.stream.queue(&[&[LOCAL_INFILE], file].concat());
    client.flush().await.map_err(ExecuteError::ClientLost)
}

/// Runs a `LOAD DATA LOCAL INFILE` with these bytes as its file.
pub async fn load(lane: &mut Lane, sql: &[u8], file: &[u8]) -> Result<Outcome, ExecuteError> {
    const _: () = assert!(PACKET_BYTES < MAX_WIRE_PAYLOAD);
    lane.send_query(sql).await?;
    lane.read_preludes().await?;
    let packet = lane.read_packet().await?;
    if packet.first() == Some(&LOCAL_INFILE) {
        let conn = lane.conn()?;
        for part in file.chunks(PACKET_BYTES) {
            conn.stream().queue(part);
            conn.flush().await?;
        }
        conn.stream().queue(&[]);
        conn.flush().await?;
        let packet = lane.read_packet().await?;
        return lane.finish_load(&packet);
    }
    if is_err(&packet) {
        return lane.finish_load(&packet);
    }
    lane.discard();
    Err(lane.malformed(&crate::protocol::ProtocolError::Malformed { what: "an answer to LOAD DATA" }))
}
