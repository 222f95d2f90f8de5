//! A network whose connections can be cut.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// One server's place in the network.
#[derive(Debug, Default)]
pub(crate) struct Place {
    down: AtomicBool,
    /// Accepts connections and never says anything.
    silent: AtomicBool,
    cut: Mutex<CancellationToken>,
}

/// What dialling a place gives.
pub(crate) enum Dialled {
    /// The client's end and the server's.
    Both(DuplexStream, Wire),
    /// The client's end of a connection whose other end is kept open and silent.
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "only the crate's own tests silence")
    )]
    Silent(DuplexStream, DuplexStream),
}

impl Place {
    pub(crate) fn dial(&self) -> io::Result<Dialled> {
        if self.is_down() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, server) = tokio::io::duplex(256 * 1024);
        if self.silent.load(Ordering::SeqCst) {
            return Ok(Dialled::Silent(client, server));
        }
        Ok(Dialled::Both(client, self.wire(server, String::new())))
    }

    /// Takes in the server's end of a connection from somewhere.
    pub(crate) fn wire<T>(&self, io: T, from: String) -> Wire<T> {
        let cut = self.token().clone();
        Wire {
            io,
            from: From(from),
            cut: Box::pin(cut.cancelled_owned()),
        }
    }

    /// Whether connections are refused.
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }

    /// Refuses connections and cuts those that are open.
    pub(crate) fn stop(&self) {
        self.down.store(true, Ordering::SeqCst);
        self.cut_all();
    }

    /// Accepts connections again.
    pub(crate) fn start(&self) {
        self.down.store(false, Ordering::SeqCst);
    }

    /// Cuts the connections that are open.
    pub(crate) fn cut_all(&self) {
        std::mem::replace(&mut *self.token(), CancellationToken::new()).cancel();
    }

    /// Accepts connections from now on and never says anything.
    #[cfg(test)]
    pub(crate) fn silence(&self) {
        self.silent.store(true, Ordering::SeqCst);
        self.cut_all();
    }

    fn token(&self) -> std::sync::MutexGuard<'_, CancellationToken> {
        // A token cannot be left half-changed.
        self.cut
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone)]
pub(crate) struct From(String);

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The server's end of a connection.
pub(crate) struct Wire<T = DuplexStream> {
    io: T,
    from: From,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<T> Wire<T> {
    /// What comes out of a wire that carried something else, such as TLS, and is cut with it.
    #[cfg(all(test, feature = "tls-ring"))]
    pub(crate) fn inner(io: T) -> Wire<T> {
        Wire {
            io,
            from: From(String::new()),
            cut: Box::pin(CancellationToken::new().cancelled_owned()),
        }
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<T> Connected for Wire<T> {
    type ConnectInfo = From;

    fn connect_info(&self) -> From {
        self.from.clone()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
