//! Listening sockets, and what is set on the connections they take.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{ListenAddress, Peer, ServerError};
use crate::net::Io;

/// When a silent client is asked whether it is still there: soon enough for the state tables of firewalls and load
/// balancers, which forget a connection after some minutes.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// How long to wait between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A connection that no runtime waits for yet.
pub(super) enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    /// The connection, for the runtime that this is called on.
    pub(super) fn adopt(self) -> io::Result<Io> {
        match self {
            Self::Tcp(socket) => TcpStream::from_std(socket).map(Io::Tcp),
            Self::Unix(socket) => UnixStream::from_std(socket).map(Io::Unix),
        }
    }
}

/// A listening socket. A Unix socket's file goes away with it.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(super) async fn bind(address: &ListenAddress) -> Result<Self, ServerError> {
        let bound = match address {
            ListenAddress::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            ListenAddress::Unix(path) => bind_unix(path),
        };
        bound.map_err(|source| {
            let address = match address {
                ListenAddress::Tcp(address) => address.clone(),
                ListenAddress::Unix(path) => path.display().to_string(),
            };
            ServerError::Listen { address, source }
        })
    }

    /// The address, with the port that was taken for port 0.
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Socket, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                prepare(&stream)?;
                Ok((Socket::Tcp(stream.into_std()?), Peer::Tcp(address)))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream.into_std()?), Peer::Unix))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // It may be gone already, which is what is wanted.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Answers are written whole, so there is nothing for Nagle's algorithm to gather.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Binds a Unix socket. A file that a dead process left there is replaced; one that somebody listens on, or that is no
/// socket, is an error.
fn bind_unix(path: &Path) -> io::Result<Listener> {
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
        && std::os::unix::net::UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
    {
        std::fs::remove_file(path)?;
    }
    Ok(Listener::Unix(UnixListener::bind(path)?, path.to_owned()))
}
