//! Logging in: greeting, TLS, and the exchange of proofs
//! (`page_protocol_connection_phase.html`, `page_caching_sha2_authentication_exchanges.html`).

use std::sync::Arc;

use super::error::{BackendError, ConnectFailure};
use super::flavour::Flavour;
use super::response::server_error;
use super::server::Server;
use super::spec::ServerSpec;
use super::version::ServerVersion;
use crate::config::TlsMode;
use crate::net::{NetError, PacketStream};
use crate::protocol::auth::{AuthPlugin, Scramble};
use crate::protocol::auth_packets::{AuthReply, FAST_AUTH_SUCCESS, PERFORM_FULL_AUTHENTICATION, REQUEST_PUBLIC_KEY};
use crate::protocol::handshake_response::ChangeUser;
use crate::protocol::{
    Capabilities, ConnectionAttributes, ErrPacket, HandshakeResponse, HandshakeV10, OkPacket, ProtocolError,
    SslRequest, StatusFlags, charset, err, rsa_key,
};

/// What a connection asks for. Left out on purpose: CONNECT_WITH_DB (the schema is part of the settings), SESSION_TRACK
/// (the proxy tracks what it replays), MULTI_STATEMENTS (a statement that was split wrongly must not run as two),
/// compression and MariaDB's extensions (they change bytes that are relayed). LOCAL_FILES lets the answer to LOAD DATA
/// LOCAL, a request for the file, reach the client; the proxy itself never sends a file.
const CAPABILITIES: Capabilities = Capabilities(
    Capabilities::LONG_PASSWORD.0
        | Capabilities::LONG_FLAG.0
        | Capabilities::LOCAL_FILES.0
        | Capabilities::PROTOCOL_41.0
        | Capabilities::TRANSACTIONS.0
        | Capabilities::SECURE_CONNECTION.0
        | Capabilities::MULTI_RESULTS.0
        | Capabilities::PS_MULTI_RESULTS.0
        | Capabilities::PLUGIN_AUTH.0
        | Capabilities::CONNECT_ATTRS.0,
);

/// How many packets an exchange may take. The longest has five.
const EXCHANGE_LIMIT: usize = 10;

/// What is known of a server after the login.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) thread_id: u32,
    pub(super) version: ServerVersion,
    pub(super) status: StatusFlags,
    pub(super) proof: Proof,
}

/// What the next proof on this connection is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proof {
    plugin: AuthPlugin,
    scramble: Scramble,
}

impl From<NetError> for ConnectFailure {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Io(error) => Self::Io(error.kind()),
            NetError::Closed => Self::Io(std::io::ErrorKind::UnexpectedEof),
            other => Self::Protocol(other.to_string()),
        }
    }
}

impl From<ProtocolError> for ConnectFailure {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error.to_string())
    }
}

/// Greets, begins TLS where it is wanted, and logs in.
pub(super) async fn log_in(
    mut stream: PacketStream,
    server: &Arc<Server>,
    flavour: Flavour,
) -> Result<(PacketStream, Greeted), ConnectFailure> {
    stream.set_seq(0);
    let payload = stream.read_packet().await?;
    if err::is_err(&payload) {
        return Err(refusal(server, &payload));
    }
    let greeting = HandshakeV10::parse(&payload)?;
    let mut capabilities = capabilities(&greeting, flavour)?;
    let spec = server.spec();
    let wants_tls = spec.tls.mode != TlsMode::Off && !stream.io().is_confidential();
    if wants_tls && greeting.capabilities.contains(Capabilities::SSL) {
        capabilities = capabilities.with(Capabilities::SSL);
        stream = begin_tls(stream, server, capabilities).await?;
    } else if wants_tls && spec.tls.mode != TlsMode::Preferred {
        return Err(ConnectFailure::NoTls);
    }
    // An unknown default plugin is of no matter: the server switches to that of the user.
    let plugin = AuthPlugin::from_name(greeting.auth_plugin).unwrap_or(AuthPlugin::MysqlNative);
    let proof = Proof { plugin, scramble: greeting.scramble };
    queue_response(&mut stream, spec, capabilities, proof);
    stream.flush().await?;
    let (proof, status) = exchange(&mut stream, server, proof).await?;
    let version = ServerVersion::parse(&String::from_utf8_lossy(greeting.server_version));
    Ok((stream, Greeted { thread_id: greeting.connection_id, version, status, proof }))
}

/// What to ask for: the flavour's flags must be there, since answers would have another shape without them.
fn capabilities(greeting: &HandshakeV10<'_>, flavour: Flavour) -> Result<Capabilities, ConnectFailure> {
    let mut wanted = Capabilities(CAPABILITIES.0 & greeting.capabilities.0).with(Capabilities::LONG_PASSWORD);
    for (on, flag, name) in [
        (flavour.deprecate_eof, Capabilities::DEPRECATE_EOF, "CLIENT_DEPRECATE_EOF"),
        (flavour.found_rows, Capabilities::FOUND_ROWS, "CLIENT_FOUND_ROWS"),
    ] {
        if on && !greeting.capabilities.contains(flag) {
            return Err(ConnectFailure::Protocol(format!("the server does not know {name}")));
        }
        if on {
            wanted = wanted.with(flag);
        }
    }
    Ok(wanted)
}

async fn begin_tls(
    mut stream: PacketStream,
    server: &Arc<Server>,
    capabilities: Capabilities,
) -> Result<PacketStream, ConnectFailure> {
    let mut request = Vec::new();
    ssl_request(capabilities).put(&mut request);
    stream.queue(&request);
    stream.flush().await?;
    let seq = stream.seq();
    let io = stream.into_io().ok_or_else(|| ConnectFailure::Tls("the server spoke before its turn".to_owned()))?;
    let io = server.tls().begin(io, server.spec()).await?;
    let mut stream = PacketStream::new(io, super::connect::MAX_PACKET_BYTES);
    stream.set_seq(seq);
    Ok(stream)
}

fn ssl_request(capabilities: Capabilities) -> SslRequest {
    SslRequest {
        capabilities,
        max_packet_bytes: super::connect::MAX_PACKET_BYTES as u32,
        charset: charset::UTF8MB4_GENERAL_CI as u8,
    }
}

fn queue_response(stream: &mut PacketStream, spec: &ServerSpec, capabilities: Capabilities, proof: Proof) {
    let shared = ssl_request(capabilities);
    let answer = proof.plugin.respond(spec.password.reveal().as_bytes(), &proof.scramble);
    let attributes = ConnectionAttributes::encode([("_client_name", "shardloom"), ("program_name", "shardloom")]);
    let response = HandshakeResponse {
        capabilities,
        max_packet_bytes: shared.max_packet_bytes,
        charset: shared.charset,
        user: spec.user.as_bytes(),
        auth_response: answer.as_bytes(),
        database: None,
        auth_plugin: Some(proof.plugin.name().as_bytes()),
        attributes: if capabilities.contains(Capabilities::CONNECT_ATTRS) { &attributes } else { &[] },
    };
    let mut payload = Vec::new();
    response.put(&mut payload);
    stream.queue(&payload);
}

/// `COM_CHANGE_USER` to the same user without a schema; [`finish`] reads the answer.
pub(super) fn change_user(spec: &ServerSpec, proof: &Proof) -> Vec<u8> {
    let answer = proof.plugin.respond(spec.password.reveal().as_bytes(), &proof.scramble);
    let mut payload = Vec::new();
    ChangeUser {
        user: spec.user.as_bytes(),
        auth_response: answer.as_bytes(),
        database: None,
        charset: None,
        auth_plugin: Some(proof.plugin.name().as_bytes()),
        attributes: &ConnectionAttributes::encode([]),
    }
    .put(&mut payload);
    // An empty list of attributes is left out by the encoder, yet the server reads its length.
    payload.push(0);
    payload
}

/// Reads the answer to [`change_user`].
pub(super) async fn finish(
    stream: &mut PacketStream,
    server: &Arc<Server>,
    proof: Proof,
) -> Result<(Proof, StatusFlags), BackendError> {
    exchange(stream, server, proof)
        .await
        .map_err(|reason| BackendError::Connect { server: server.label().clone(), reason })
}

/// Proves the password until the server says OK or ERR.
async fn exchange(
    stream: &mut PacketStream,
    server: &Arc<Server>,
    mut proof: Proof,
) -> Result<(Proof, StatusFlags), ConnectFailure> {
    let password = server.spec().password.reveal().as_bytes();
    for _ in 0..EXCHANGE_LIMIT {
        let payload = stream.read_packet().await?;
        match AuthReply::parse(&payload)? {
            AuthReply::Ok => return Ok((proof, OkPacket::parse(&payload, Capabilities::NONE)?.status)),
            AuthReply::Err => return Err(refusal(server, &payload)),
            AuthReply::Switch(switch) => {
                let name = || String::from_utf8_lossy(switch.plugin).into_owned();
                let plugin = AuthPlugin::from_name(switch.plugin).ok_or_else(|| ConnectFailure::AuthPlugin(name()))?;
                proof = Proof { plugin, scramble: switch.scramble.unwrap_or(proof.scramble) };
                stream.queue(plugin.respond(password, &proof.scramble).as_bytes());
                stream.flush().await?;
            }
            AuthReply::MoreData([FAST_AUTH_SUCCESS]) => {}
            AuthReply::MoreData([PERFORM_FULL_AUTHENTICATION]) => {
                send_password(stream, password, &proof.scramble).await?;
            }
            AuthReply::MoreData(_) => {
                return Err(ConnectFailure::Protocol("the server sent an unknown authentication message".to_owned()));
            }
        }
    }
    Err(ConnectFailure::Protocol("the server did not come to an end of the authentication".to_owned()))
}

/// `caching_sha2_password`, full path: the password itself, in clear where nobody can listen, else under the server's RSA
/// key, asked for over the same connection.
async fn send_password(stream: &mut PacketStream, password: &[u8], scramble: &Scramble) -> Result<(), ConnectFailure> {
    let mut secret = [password, &[0]].concat();
    if !stream.io().is_confidential() {
        stream.queue(&[REQUEST_PUBLIC_KEY]);
        stream.flush().await?;
        let payload = stream.read_packet().await?;
        secret = rsa_key::encrypt_password(public_key(&payload)?, password, scramble)?;
    }
    stream.queue(&secret);
    stream.flush().await?;
    Ok(())
}

fn public_key(payload: &[u8]) -> Result<&[u8], ConnectFailure> {
    match AuthReply::parse(payload)? {
        AuthReply::MoreData(key) => Ok(key),
        _ => Err(ConnectFailure::Protocol("the server sent no public key".to_owned())),
    }
}

/// Why a server refuses. Its own text names user and host, so it goes to the log only.
fn refusal(server: &Arc<Server>, payload: &[u8]) -> ConnectFailure {
    let error = server_error(server, payload);
    tracing::debug!(server = %server.label(), %error, "backend refused the connection");
    match ErrPacket::parse(payload) {
        // ER_DBACCESS_DENIED, ER_ACCESS_DENIED, ER_ACCESS_DENIED_NO_PASSWORD, ER_NOT_SUPPORTED_AUTH_MODE, ER_MUST_CHANGE_PASSWORD_LOGIN
        Ok(packet) if matches!(packet.errno, 1044 | 1045 | 1698 | 1251 | 1862) => ConnectFailure::Refused(packet.errno),
        Ok(packet) => ConnectFailure::Rejected(packet.errno),
        Err(error) => error.into(),
    }
}
