//! One type for the transports a MySQL connection can run over.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected transport. TLS variants are boxed: a session is small while it idles.
#[derive(Debug)]
pub enum Io {
    /// Plain TCP, `TCP_NODELAY` set by whoever opened it.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// TLS where the peer is a client of ours.
    TlsServer(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// TLS where the peer is a backend.
    TlsClient(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Io {
    /// Whether what is sent over this transport cannot be read by others: TLS, or a Unix socket.
    /// (`caching_sha2_password` may send the password itself over such a transport.)
    pub fn is_confidential(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }

    /// Whether this transport is TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::TlsServer(_) | Self::TlsClient(_))
    }

    /// Writes as much as the transport takes at once. `WouldBlock` where it takes nothing, and always under TLS.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.try_write(bytes),
            Self::Unix(s) => s.try_write(bytes),
            Self::TlsServer(_) | Self::TlsClient(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Whether nothing has come in since the last read: neither bytes nor the peer's close. Costs no system call.
    pub fn is_quiet(&self) -> bool {
        let ready = || Ok(());
        let is_ready = match self {
            Self::Tcp(s) => s.try_io(Interest::READABLE, ready),
            Self::Unix(s) => s.try_io(Interest::READABLE, ready),
            Self::TlsServer(s) => s.get_ref().0.try_io(Interest::READABLE, ready),
            Self::TlsClient(s) => s.get_ref().0.try_io(Interest::READABLE, ready),
        };
        is_ready.is_err()
    }

    /// As [`is_quiet`](Self::is_quiet); the task is woken when that changes.
    fn poll_quiet(&self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Tcp(s) => s.poll_read_ready(cx).is_pending(),
            Self::Unix(s) => s.poll_read_ready(cx).is_pending(),
            Self::TlsServer(s) => s.get_ref().0.poll_read_ready(cx).is_pending(),
            Self::TlsClient(s) => s.get_ref().0.poll_read_ready(cx).is_pending(),
        }
    }

    /// Resolves when the peer has closed its side or the connection failed. Costs no system call: the reactor knows. Nobody
    /// may read meanwhile.
    pub async fn closed(&self) {
        poll_fn(|cx| if self.poll_quiet(cx) { Poll::Pending } else { Poll::Ready(()) }).await;
        let ready = match self {
            Self::Tcp(s) => s.ready(Interest::READABLE).await,
            Self::Unix(s) => s.ready(Interest::READABLE).await,
            Self::TlsServer(s) => s.get_ref().0.ready(Interest::READABLE).await,
            Self::TlsClient(s) => s.get_ref().0.ready(Interest::READABLE).await,
        };
        if ready.is_ok_and(|ready| !ready.is_read_closed()) {
            // The peer sent more before it had its answer. That stays unread for now, and it hides a later close.
            std::future::pending::<()>().await;
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_read(cx, buf),
            Self::TlsServer(s) => Pin::new(s).poll_read(cx, buf),
            Self::TlsClient(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_write(cx, buf),
            Self::TlsServer(s) => Pin::new(s).poll_write(cx, buf),
            Self::TlsClient(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_flush(cx),
            Self::Unix(s) => Pin::new(s).poll_flush(cx),
            Self::TlsServer(s) => Pin::new(s).poll_flush(cx),
            Self::TlsClient(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
            Self::TlsServer(s) => Pin::new(s).poll_shutdown(cx),
            Self::TlsClient(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
