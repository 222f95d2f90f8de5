//! Request bodies: whole ones, which can be sent again, and streams.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::{Body as _, Frame};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::body::Body;

use super::lane::Place;

/// The frames that are read before it is known whether a body is whole: its message, and the end.
const AHEAD: usize = 2;

/// A request body, as far as it was there at once.
pub(crate) enum Payload {
    /// All of it.
    Whole(Bytes),
    /// Its beginning, and the rest.
    Stream(Box<Rest>),
}

/// A body of which some frames were read.
pub(crate) struct Rest {
    read: VecDeque<Bytes>,
    body: Body,
}

/// Reads what a body has ready. A unary request is whole then, so that the end of its stream
/// travels with its message, and it can be sent again where it was not processed.
pub(crate) fn read_ahead(mut body: Body) -> Result<Payload, Status> {
    // Whoever reads the rest polls again with a waker of its own.
    let mut cx = Context::from_waker(Waker::noop());
    let mut read = VecDeque::with_capacity(AHEAD);
    while read.len() < AHEAD {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(None) if read.len() < AHEAD => {
                return Ok(Payload::Whole(read.pop_front().unwrap_or_default()));
            }
            Poll::Ready(None) | Poll::Pending => break,
            Poll::Ready(Some(frame)) => read.extend(data(frame?)),
        }
    }
    Ok(Payload::Stream(Box::new(Rest { read, body })))
}

/// gRPC requests have no trailers, and empty frames say nothing.
fn data(frame: Frame<Bytes>) -> Option<Bytes> {
    frame.into_data().ok().filter(|data| !data.is_empty())
}

/// Why a request body ended early, if its source failed.
pub(crate) type BodyError = Arc<OnceLock<Status>>;

/// The task that sends a streaming request body. Dropping this ends it: h2 resets a stream only
/// once nobody holds a part of it.
pub(crate) struct Pump {
    task: JoinHandle<()>,
    error: BodyError,
}

impl Pump {
    /// Starts sending. The request's place is held until both directions have ended.
    pub(crate) fn start(
        runtime: &Handle,
        rest: Box<Rest>,
        stream: SendStream<Bytes>,
        place: Arc<Place>,
    ) -> Self {
        let error = BodyError::default();
        let task = runtime.spawn(pump(rest, stream, place, Arc::clone(&error)));
        Self { task, error }
    }

    /// The status with which the request's source ended the call.
    pub(crate) fn error(&self) -> Option<Status> {
        self.error.get().cloned()
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pump(
    mut rest: Box<Rest>,
    mut stream: SendStream<Bytes>,
    _place: Arc<Place>,
    error: BodyError,
) {
    loop {
        if room(&mut stream).await.is_none() {
            return;
        }
        match next(&mut rest).await {
            Next::Data(bytes) => {
                if stream.send_data(bytes, false).is_err() {
                    return;
                }
            }
            Next::End => {
                // An error means that the stream is over; the response tells why.
                drop(stream.send_data(Bytes::new(), true));
                return;
            }
            Next::Failed(status) => {
                // Before the reset, which wakes the response's reader.
                drop(error.set(status));
                stream.send_reset(Reason::CANCEL);
                return;
            }
        }
    }
}

/// Waits until the peer and h2's buffer take more. `None`: the stream is over.
async fn room(stream: &mut SendStream<Bytes>) -> Option<()> {
    stream.reserve_capacity(1);
    while stream.capacity() == 0 {
        std::future::poll_fn(|cx| stream.poll_capacity(cx))
            .await?
            .ok()?;
    }
    Some(())
}

enum Next {
    Data(Bytes),
    End,
    Failed(Status),
}

async fn next(rest: &mut Rest) -> Next {
    if let Some(bytes) = rest.read.pop_front() {
        return Next::Data(bytes);
    }
    loop {
        match std::future::poll_fn(|cx| Pin::new(&mut rest.body).poll_frame(cx)).await {
            None => return Next::End,
            Some(Err(status)) => return Next::Failed(status),
            Some(Ok(frame)) => {
                if let Some(bytes) = data(frame) {
                    return Next::Data(bytes);
                }
            }
        }
    }
}
