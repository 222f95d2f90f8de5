//! The bytes of one connection, watched on their way.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connect::Io;
use super::frames::{GOAWAY, HEADERS, Head, PREFACE_LEN, Scanner};

/// What was learned from a connection's bytes.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    leaving: AtomicBool,
    sent: AtomicU32,
    cause: Mutex<Option<String>>,
}

impl Wire {
    /// Whether the peer has said GOAWAY.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Whether a stream's request has begun to be handed to the operating system. If not, the
    /// peer cannot have seen it.
    pub(crate) fn was_sent(&self, stream: u32) -> bool {
        stream <= self.sent.load(Ordering::Acquire)
    }

    /// Why the connection ended, as the operating system told it: h2 says "broken pipe" to all
    /// streams but the first.
    pub(crate) fn cause(&self) -> Option<String> {
        self.cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes why the connection ends, unless that is known already.
    pub(crate) fn ends(&self, cause: impl Into<String>) {
        let mut known = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| cause.into());
    }

    fn received(&self, head: Head) {
        if head.kind == GOAWAY {
            self.leaving.store(true, Ordering::Release);
        }
    }

    fn written(&self, head: Head) {
        if head.kind == HEADERS {
            self.sent.fetch_max(head.stream, Ordering::AcqRel);
        }
    }
}

/// A connection's I/O that tells [`Wire`] what passes.
pub(crate) struct Watched {
    io: Io,
    wire: Arc<Wire>,
    reads: Scanner,
    writes: Scanner,
}

impl Watched {
    pub(crate) fn new(io: Io, wire: Arc<Wire>) -> Self {
        Self {
            io,
            wire,
            reads: Scanner::default(),
            writes: Scanner::after(PREFACE_LEN),
        }
    }

    fn failed<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.wire.ends(error.to_string());
        }
        result
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let had_room = buf.remaining() > 0;
        let result = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        let this = &mut *self;
        let new = &buf.filled()[before..];
        if result.is_ok() && new.is_empty() && had_room {
            this.wire.ends("closed by the peer");
        }
        this.reads.feed(new, |head| this.wire.received(head));
        Poll::Ready(self.failed(result))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.io).poll_write(cx, buf));
        let this = &mut *self;
        if let Ok(written) = result {
            this.writes
                .feed(&buf[..written], |head| this.wire.written(head));
        }
        Poll::Ready(self.failed(result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs));
        let this = &mut *self;
        if let Ok(mut written) = result {
            for buf in bufs {
                let part = written.min(buf.len());
                this.writes
                    .feed(&buf[..part], |head| this.wire.written(head));
                written -= part;
            }
        }
        Poll::Ready(self.failed(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.io).poll_flush(cx));
        Poll::Ready(self.failed(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
