//! COM_CHANGE_USER: the listener's side of the door, as the session sees it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Failure, Session};
use crate::error::SqlError;
use crate::net::PacketStream;
use crate::protocol::Capabilities;

/// Who a client has become.
#[derive(Debug)]
pub struct NewUser {
    /// The account.
    pub user: Arc<str>,
    /// The schema that it asked for.
    pub schema: Option<Arc<str>>,
    /// The collation id that it asked for.
    pub collation: u16,
}

/// Logs a connected client in again.
pub trait Doorman: Send + Sync {
    /// Runs the exchange of a COM_CHANGE_USER. After an error the connection is closed, as MySQL does it.
    fn change_user<'a>(
        &'a mut self,
        stream: &'a mut PacketStream,
        body: &'a [u8],
        capabilities: Capabilities,
    ) -> BoxFuture<'a, Result<NewUser, SqlError>>;
}

impl Session {
    /// COM_CHANGE_USER: a new login on the same connection, and a fresh session.
    pub(super) async fn change_user(&mut self, body: &[u8]) -> Result<(), Failure> {
        let capabilities = self.client.capabilities;
        let changed = self.doorman.change_user(&mut self.client.stream, body, capabilities).await;
        let new = changed.map_err(Failure::Fatal)?;
        self.reset().await?;
        self.collation = new.collation;
        self.state = self.shared.fresh_state(new.collation, new.schema);
        let registry = Arc::clone(&self.shared.registry);
        registry.replace(&mut self.entry, new.user, self.state.schema.clone());
        self.answer_ok();
        Ok(())
    }
}
