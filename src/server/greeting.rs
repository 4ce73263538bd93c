//! From a new socket to a client that is logged in (`page_protocol_connection_phase.html`).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::authenticate::{Claim, authenticate};
use super::gate::{Gate, new_scramble};
use super::listener::Socket;
use super::{Account, Drain, ServerError};
use crate::error::SqlError;
use crate::net::{Io, NetError, PacketStream};
use crate::protocol::auth::Scramble;
use crate::protocol::{
    Capabilities, ConnectionAttributes, HandshakeResponse, HandshakeV10, OkPacket, ProtocolError, SslRequest,
    StatusFlags, charset,
};

/// The largest packet before a client is logged in: attributes of 64 KiB and the names around them.
const MAX_HANDSHAKE_BYTES: usize = 128 * 1024;

/// How long telling a client that it is refused may take.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Where a client came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix,
}

impl Peer {
    /// The host as MySQL names it.
    pub fn host(&self) -> String {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().to_string(),
            Self::Unix => "localhost".to_owned(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix socket"),
        }
    }
}

/// A client that is logged in and has its OK. The next packet is a command.
#[derive(Debug)]
pub struct Accepted {
    /// The connection; its next sequence id is 0.
    pub stream: PacketStream,
    /// Connection id, as the greeting told it.
    pub connection_id: u32,
    /// Where the client came from.
    pub peer: Peer,
    /// Who it is.
    pub account: Arc<Account>,
    /// The database it began in, under its proper name.
    pub database: Option<Arc<str>>,
    /// What both sides can do.
    pub capabilities: Capabilities,
    /// The collation id it asked for.
    pub charset: u16,
    /// What it tells of itself.
    pub attributes: ConnectionAttributes,
    /// The scramble that was used last, for COM_CHANGE_USER.
    pub scramble: Scramble,
    /// Tells when the session should end.
    pub drain: Drain,
    /// For COM_CHANGE_USER.
    pub gate: Arc<Gate>,
}

/// A connection that is to be greeted.
pub(super) struct Newcomer {
    pub(super) socket: Socket,
    pub(super) peer: Peer,
    pub(super) drain: Drain,
    /// Why it will be refused, however it answers. It is greeted all the same, since before the greeting an ERR has no
    /// SQLSTATE.
    pub(super) refusal: Option<ServerError>,
}

/// Greets a client and logs it in, within the handshake timeout. A client that does not get in is told why.
pub(super) async fn greet(gate: Arc<Gate>, newcomer: Newcomer) -> Result<Accepted, ServerError> {
    let timeout = gate.options.load().handshake_timeout();
    let mut greeting = Greeting::new(&gate, newcomer)?;
    let result = tokio::time::timeout(timeout, greeting.run()).await;
    let result = result.unwrap_or(Err(ServerError::HandshakeTimeout));
    if let Err(error) = &result {
        greeting.refuse(error).await;
    }
    let Greeting { stream, peer, drain, connection_id, scramble, .. } = greeting;
    let Login { account, database, capabilities, charset, attributes } = result?;
    let stream = stream.ok_or(NetError::Closed)?;
    Ok(Accepted {
        stream,
        connection_id,
        peer,
        account,
        database,
        capabilities,
        charset,
        attributes,
        scramble,
        drain,
        gate,
    })
}

struct Greeting<'a> {
    gate: &'a Gate,
    /// `None` only while TLS takes over.
    stream: Option<PacketStream>,
    peer: Peer,
    drain: Drain,
    refusal: Option<ServerError>,
    connection_id: u32,
    scramble: Scramble,
}

/// What a client's handshake response comes to.
struct Login {
    account: Arc<Account>,
    database: Option<Arc<str>>,
    capabilities: Capabilities,
    charset: u16,
    attributes: ConnectionAttributes,
}

impl<'a> Greeting<'a> {
    fn new(gate: &'a Gate, newcomer: Newcomer) -> Result<Self, ServerError> {
        let Newcomer { socket, peer, drain, refusal } = newcomer;
        let io = socket.adopt().map_err(NetError::Io)?;
        Ok(Self {
            gate,
            stream: Some(PacketStream::new(io, MAX_HANDSHAKE_BYTES)),
            peer,
            drain,
            refusal,
            connection_id: gate.next_connection_id(),
            scramble: new_scramble(),
        })
    }

    fn stream(&mut self) -> Result<&mut PacketStream, ServerError> {
        // It is lost to a TLS handshake that failed.
        self.stream.as_mut().ok_or(ServerError::Net(NetError::Closed))
    }

    async fn run(&mut self) -> Result<Login, ServerError> {
        let tls = self.gate.tls.load_full();
        let acceptor = tls.acceptor.clone().filter(|_| matches!(self.peer, Peer::Tcp(_)));
        let offered = self.gate.capabilities(acceptor.is_some());
        self.say_hello(offered).await?;
        let mut packet = self.stream()?.read_packet_exactly().await?;
        if let Some(acceptor) = acceptor
            && SslRequest::is(&packet)
        {
            self.start_tls(acceptor).await?;
            packet = self.stream()?.read_packet().await?;
        }
        let response = HandshakeResponse::parse(&packet)?;
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        if tls.required && !self.stream()?.io().is_confidential() {
            return Err(ServerError::SecureTransportRequired);
        }
        let login = self.log_in(&response, offered).await?;
        if self.drain.is_requested() {
            return Err(ServerError::ShuttingDown);
        }
        self.welcome(&login).await?;
        Ok(login)
    }

    async fn say_hello(&mut self, capabilities: Capabilities) -> Result<(), ServerError> {
        let version = self.gate.directory.server_version();
        let plugin = self.gate.default_plugin(&version);
        let hello = HandshakeV10 {
            server_version: version.as_bytes(),
            connection_id: self.connection_id,
            scramble: self.scramble,
            capabilities,
            charset: charset::UTF8MB4_GENERAL_CI as u8,
            status: StatusFlags::AUTOCOMMIT,
            auth_plugin: plugin.name().as_bytes(),
        };
        let stream = self.stream()?;
        stream.frames().packet(|out| hello.put(out));
        Ok(stream.flush().await?)
    }

    async fn start_tls(&mut self, acceptor: tokio_rustls::TlsAcceptor) -> Result<(), ServerError> {
        let stream = self.stream.take().ok_or(ServerError::Net(NetError::Closed))?;
        let seq = stream.seq();
        let Some(Io::Tcp(tcp)) = stream.into_io() else {
            return Err(ProtocolError::Malformed { what: "bytes between an SSL request and TLS" }.into());
        };
        let tls = acceptor.accept(tcp).await.map_err(ServerError::TlsHandshake)?;
        let stream = self.stream.insert(PacketStream::new(Io::TlsServer(Box::new(tls)), MAX_HANDSHAKE_BYTES));
        stream.set_seq(seq);
        Ok(())
    }

    async fn log_in(&mut self, response: &HandshakeResponse<'_>, offered: Capabilities) -> Result<Login, ServerError> {
        let (user, host) = (String::from_utf8_lossy(response.user), self.peer.host());
        let capabilities = response.capabilities & offered;
        let attributes = ConnectionAttributes::parse(response.attributes)?;
        let claim = Claim {
            user: &user,
            host: &host,
            plugin: response.auth_plugin,
            response: response.auth_response,
            capabilities,
        };
        let (gate, scramble) = (self.gate, self.scramble);
        let proven = authenticate(gate, self.stream()?, scramble, claim).await?;
        self.scramble = proven.scramble;
        let account = proven.account;
        gate.directory.admit(&account, &host, self.stream()?.io().is_confidential())?;
        let database = database(gate, &account, &host, response.database)?;
        let charset = client_charset(response.charset.into())?;
        Ok(Login { account, database, capabilities, charset, attributes })
    }

    async fn welcome(&mut self, login: &Login) -> Result<(), ServerError> {
        let max_packet_bytes = self.gate.options.load().max_packet_bytes;
        let stream = self.stream()?;
        let ok = OkPacket { status: StatusFlags::AUTOCOMMIT, ..OkPacket::default() };
        stream.frames().ok(&ok, login.capabilities);
        stream.flush().await?;
        stream.set_seq(0);
        stream.set_max_packet_bytes(max_packet_bytes);
        stream.release_buffers();
        Ok(())
    }

    /// Tells the client why it does not get in. It may be gone, or be what timed out, so this is not waited for long.
    async fn refuse(&mut self, error: &ServerError) {
        let Some(stream) = &mut self.stream else { return };
        if matches!(error, ServerError::Net(NetError::Closed | NetError::Io(_))) {
            return;
        }
        stream.frames().error(&SqlError::from_report(error));
        let _ = tokio::time::timeout(REFUSAL_TIMEOUT, stream.shutdown()).await;
    }
}

/// The collation id that a session begins with. One whose texts no server reads is ignored, as servers do it.
pub(super) fn client_charset(id: u16) -> Result<u16, ServerError> {
    match charset::name(id).map(|name| name.charset) {
        Some(name) if charset::is_impermissible(name) => Ok(charset::UTF8MB4_GENERAL_CI),
        Some(name) if !charset::is_readable(name) => Err(ServerError::CharacterSet(name)),
        _ => Ok(id),
    }
}

/// The database that a client names, if it may use it.
pub(super) fn database(
    gate: &Gate,
    account: &Account,
    host: &str,
    name: Option<&[u8]>,
) -> Result<Option<Arc<str>>, ServerError> {
    name.map(|name| gate.directory.database(account, host, &String::from_utf8_lossy(name))).transpose()
}
