//! Opening a connection: transport, greeting, TLS, authentication, all within one deadline.

use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::auth;
use super::conn::BackendConn;
use super::error::{BackendError, ConnectFailure};
use super::flavour::Flavour;
use super::server::{Place, Server};
use crate::config::Address;
use crate::net::{Io, PacketStream};

/// The largest packet that is read whole from a backend: MySQL's own upper limit of `max_allowed_packet`. Relayed answers
/// are not read whole.
pub const MAX_PACKET_BYTES: usize = 1 << 30;

/// A peer that vanished without a word is noticed after about this and three probes, so that a statement does not wait for
/// the answer of a machine that is gone.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// Time between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Opens a connection and logs in.
pub(super) async fn open(server: &Arc<Server>, flavour: Flavour, place: Place) -> Result<BackendConn, BackendError> {
    let limit = server.spec().limits.connect_timeout;
    let opened = match timeout(limit, open_unbounded(server, flavour)).await {
        Ok(opened) => opened,
        Err(_) => Err(ConnectFailure::TimedOut(limit.as_millis() as u64)),
    };
    match opened {
        Ok((stream, greeted)) => Ok(BackendConn::new(server, flavour, place, stream, greeted)),
        Err(reason) => Err(BackendError::Connect { server: server.label().clone(), reason }),
    }
}

async fn open_unbounded(
    server: &Arc<Server>,
    flavour: Flavour,
) -> Result<(PacketStream, auth::Greeted), ConnectFailure> {
    let io = transport(&server.spec().address).await.map_err(|error| ConnectFailure::Io(error.kind()))?;
    auth::log_in(PacketStream::new(io, MAX_PACKET_BYTES), server, flavour).await
}

async fn transport(address: &Address) -> std::io::Result<Io> {
    match address {
        Address::Unix(path) => UnixStream::connect(path).await.map(Io::Unix),
        Address::Tcp { host, port } => {
            let socket = TcpStream::connect((&**host, *port)).await?;
            socket.set_nodelay(true)?;
            let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
            SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
            Ok(Io::Tcp(socket))
        }
    }
}
