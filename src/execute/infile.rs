//! LOAD DATA LOCAL INFILE through a relay: the client's file passes to the backend
//! (`page_protocol_com_query_response_local_infile_request.html`).

use super::{Client, ExecuteError, Lane, Watch};

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
