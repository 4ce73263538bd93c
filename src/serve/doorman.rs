//! COM_CHANGE_USER, for sessions: the listener knows how to log a client in.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::SqlError;
use crate::net::PacketStream;
use crate::protocol::Capabilities;
use crate::protocol::auth::Scramble;
use crate::server::{Gate, Peer};
use crate::session::{Doorman, NewUser};

/// Logs a connected client in again.
pub(super) struct GateDoorman {
    gate: Arc<Gate>,
    scramble: Scramble,
    peer: Peer,
}

impl GateDoorman {
    pub(super) fn new(gate: Arc<Gate>, scramble: Scramble, peer: Peer) -> Self {
        Self { gate, scramble, peer }
    }
}

impl Doorman for GateDoorman {
    fn change_user<'a>(
        &'a mut self,
        stream: &'a mut PacketStream,
        body: &'a [u8],
        capabilities: Capabilities,
    ) -> BoxFuture<'a, Result<NewUser, SqlError>> {
        Box::pin(async move {
            let changed = self
                .gate
                .change_user(stream, body, capabilities, self.scramble, &self.peer)
                .await
                .map_err(SqlError::from)?;
            self.scramble = changed.scramble;
            Ok(NewUser {
                user: Arc::clone(&changed.account.user),
                schema: changed.database,
                collation: changed.charset,
            })
        })
    }
}
