//! A network in memory whose connections can be cut.

use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// One server's place in the network.
#[derive(Default)]
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
    Silent(DuplexStream, DuplexStream),
}

impl Place {
    pub(crate) fn dial(&self) -> io::Result<Dialled> {
        if self.down.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (client, server) = tokio::io::duplex(256 * 1024);
        if self.silent.load(Ordering::SeqCst) {
            return Ok(Dialled::Silent(client, server));
        }
        let cut = self.cut.lock().expect("not poisoned").clone();
        let wire = Wire {
            io: server,
            cut: Box::pin(cut.cancelled_owned()),
        };
        Ok(Dialled::Both(client, wire))
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
        let mut cut = self.cut.lock().expect("not poisoned");
        std::mem::replace(&mut *cut, CancellationToken::new()).cancel();
    }

    /// Accepts connections from now on and never says anything.
    pub(crate) fn silence(&self) {
        self.silent.store(true, Ordering::SeqCst);
        self.cut_all();
    }
}

/// The server's end of a connection.
pub(crate) struct Wire {
    io: DuplexStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Wire {
    /// What comes out of a wire that carried something else, such as TLS, and is cut with it.
    #[cfg(feature = "tls-ring")]
    pub(crate) fn inner(io: DuplexStream) -> Wire {
        Wire {
            io,
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

impl Connected for Wire {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
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
