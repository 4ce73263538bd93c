//! The authentication exchange (`page_protocol_connection_phase.html`, `page_caching_sha2_authentication_exchanges.html`),
//! the same for a new connection and for COM_CHANGE_USER.

use std::sync::Arc;

use super::account::Verdict;
use super::gate::{Gate, new_scramble};
use super::{Account, ServerError};
use crate::net::PacketStream;
use crate::protocol::auth::{AuthPlugin, Scramble};
use crate::protocol::auth_packets::{
    AuthSwitch, FAST_AUTH_SUCCESS, PERFORM_FULL_AUTHENTICATION, REQUEST_PUBLIC_KEY, put_auth_more_data,
};
use crate::protocol::{Capabilities, ProtocolError};

/// A client's claim, from its handshake response or COM_CHANGE_USER.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) user: &'a str,
    pub(super) host: &'a str,
    /// The plugin that made the response. `None`: a client from before plugins, which means native.
    pub(super) plugin: Option<&'a [u8]>,
    pub(super) response: &'a [u8],
    pub(super) capabilities: Capabilities,
}

/// Somebody whose password was proven.
pub(super) struct Proven {
    pub(super) account: Arc<Account>,
    /// The scramble that was used last; COM_CHANGE_USER goes on with it.
    pub(super) scramble: Scramble,
}

/// Runs the exchange up to, but not including, the OK packet.
pub(super) async fn authenticate(
    gate: &Gate,
    stream: &mut PacketStream,
    scramble: Scramble,
    claim: Claim<'_>,
) -> Result<Proven, ServerError> {
    let found = gate.directory.account(claim.user);
    let mut exchange = Exchange { gate, stream, scramble, claim };
    let (granted, using_password) = exchange.run(found.as_ref().unwrap_or(&gate.decoy)).await?;
    match found {
        Some(account) if granted => Ok(Proven { account, scramble: exchange.scramble }),
        _ => {
            let (user, host) = (claim.user.to_owned(), claim.host.to_owned());
            Err(ServerError::AccessDenied { user, host, using_password })
        }
    }
}

struct Exchange<'a, 'c> {
    gate: &'a Gate,
    stream: &'a mut PacketStream,
    scramble: Scramble,
    claim: Claim<'c>,
}

impl Exchange<'_, '_> {
    /// Returns whether the password was proven, and whether one was sent at all.
    async fn run(&mut self, account: &Arc<Account>) -> Result<(bool, bool), ServerError> {
        let offered = self.claim.plugin.map_or(Some(AuthPlugin::MysqlNative), AuthPlugin::from_name);
        let (verdict, using_password) = match offered {
            Some(plugin) if account.allows(plugin) => {
                let response = self.claim.response;
                (account.credential.check(plugin, &self.scramble, response), is_password(response))
            }
            // The client used a plugin that cannot prove this account's password: let it answer again.
            _ => {
                let plugin = self.plugin_for(account);
                let response = self.switch(plugin).await?;
                (account.credential.check(plugin, &self.scramble, &response), is_password(&response))
            }
        };
        let granted = match verdict {
            Verdict::Granted => true,
            Verdict::Denied => false,
            Verdict::GrantedFast => {
                self.stream.frames().packet(|out| put_auth_more_data(&[FAST_AUTH_SUCCESS], out));
                true
            }
            Verdict::PasswordNeeded => self.full(account).await?,
        };
        Ok((granted, using_password))
    }

    fn plugin_for(&self, account: &Account) -> AuthPlugin {
        let default = self.gate.default_plugin(&self.gate.directory.server_version());
        [default, AuthPlugin::CachingSha2, AuthPlugin::MysqlNative]
            .into_iter()
            .find(|plugin| account.allows(*plugin))
            .unwrap_or(default)
    }

    /// Asks the client to answer a new scramble with another plugin.
    async fn switch(&mut self, plugin: AuthPlugin) -> Result<bytes::Bytes, ServerError> {
        if !self.claim.capabilities.contains(Capabilities::PLUGIN_AUTH) {
            return Err(ServerError::UnsupportedAuthentication);
        }
        self.scramble = new_scramble();
        let switch = AuthSwitch { plugin: plugin.name().as_bytes(), scramble: Some(self.scramble) };
        self.stream.frames().packet(|out| switch.put(out));
        self.ask().await
    }

    async fn ask(&mut self) -> Result<bytes::Bytes, ServerError> {
        self.stream.flush().await?;
        Ok(self.stream.read_packet().await?)
    }

    /// The full path of `caching_sha2_password`: the client sends its password, in the clear over a transport that
    /// others cannot read, else encrypted by our RSA key.
    async fn full(&mut self, account: &Arc<Account>) -> Result<bool, ServerError> {
        self.stream.frames().packet(|out| put_auth_more_data(&[PERFORM_FULL_AUTHENTICATION], out));
        let mut answer = self.ask().await?;
        let password = if self.stream.io().is_confidential() {
            let password = answer.strip_suffix(&[0]).ok_or(ProtocolError::Malformed { what: "a password" })?;
            password.to_vec()
        } else {
            let key = self.gate.rsa_key().await?;
            // A client that holds our key already does not ask for it.
            if answer[..] == [REQUEST_PUBLIC_KEY] {
                self.stream.frames().packet(|out| put_auth_more_data(key.public_pem().as_bytes(), out));
                answer = self.ask().await?;
            }
            let scramble = self.scramble;
            let decrypted = tokio::task::spawn_blocking(move || key.decrypt_password(&answer, &scramble)).await;
            match decrypted {
                Ok(Ok(password)) => password,
                // What cannot be decrypted is a wrong password, and nothing more is told about it.
                _ => return Ok(false),
            }
        };
        // Hashing takes milliseconds, and no other session should wait for it.
        let account = account.clone();
        let checked = tokio::task::spawn_blocking(move || account.credential.check_password(&password)).await;
        Ok(checked.unwrap_or(false))
    }
}

/// A client without a password sends nothing, or a NUL.
fn is_password(response: &[u8]) -> bool {
    !matches!(response, [] | [0])
}
