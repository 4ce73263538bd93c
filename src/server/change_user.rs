//! COM_CHANGE_USER (`page_protocol_com_change_user.html`): a login on a connection that is open already.

use std::sync::Arc;

use super::authenticate::{Claim, authenticate};
use super::{Account, Gate, Peer, ServerError, greeting};
use crate::net::PacketStream;
use crate::protocol::auth::Scramble;
use crate::protocol::handshake_response::ChangeUser;
use crate::protocol::{Capabilities, ConnectionAttributes, charset};

/// What a COM_CHANGE_USER came to. The OK is still to be sent, after the session was reset.
#[derive(Debug)]
pub struct ChangedUser {
    /// Who the client is now.
    pub account: Arc<Account>,
    /// The database it goes on in.
    pub database: Option<Arc<str>>,
    /// The collation id it asked for.
    pub charset: u16,
    /// What it tells of itself.
    pub attributes: ConnectionAttributes,
    /// The scramble for the next COM_CHANGE_USER.
    pub scramble: Scramble,
}

impl Gate {
    /// Runs the exchange of a COM_CHANGE_USER whose body (behind the command byte) is given. An error is for the session
    /// to send; MySQL then closes the connection, MariaDB lets the old user go on.
    pub async fn change_user(
        &self,
        stream: &mut PacketStream,
        body: &[u8],
        capabilities: Capabilities,
        scramble: Scramble,
        peer: &Peer,
    ) -> Result<ChangedUser, ServerError> {
        let changed = self.try_change_user(stream, body, capabilities, scramble, peer).await;
        changed.inspect_err(|error| self.count_refusal(error))
    }

    async fn try_change_user(
        &self,
        stream: &mut PacketStream,
        body: &[u8],
        capabilities: Capabilities,
        scramble: Scramble,
        peer: &Peer,
    ) -> Result<ChangedUser, ServerError> {
        let change = ChangeUser::parse(body, capabilities)?;
        let attributes = ConnectionAttributes::parse(change.attributes)?;
        let (user, host) = (String::from_utf8_lossy(change.user), peer.host());
        let claim = Claim {
            user: &user,
            host: &host,
            plugin: change.auth_plugin,
            response: change.auth_response,
            capabilities,
        };
        let exchange = authenticate(self, stream, scramble, claim);
        let proven = match tokio::time::timeout(self.options.load().handshake_timeout(), exchange).await {
            Ok(result) => result?,
            Err(_) => return Err(ServerError::HandshakeTimeout),
        };
        self.directory.admit(&proven.account, &host, stream.io().is_confidential())?;
        let database = greeting::database(self, &proven.account, &host, change.database)?;
        Ok(ChangedUser {
            account: proven.account,
            database,
            charset: greeting::client_charset(change.charset.unwrap_or(charset::UTF8MB4_GENERAL_CI))?,
            attributes,
            scramble: proven.scramble,
        })
    }
}
