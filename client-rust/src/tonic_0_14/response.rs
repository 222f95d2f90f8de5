//! Response bodies: they keep the deadline, and the request's place until they have ended.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::{HeaderMap, StatusCode, response};
use http_body::{Body, Frame};
use tonic::{Code, Status};

use super::deadline::{Budget, Deadline};
use super::failure::Failure;
use super::lane::Place;
use super::report::{Sent, code_of, code_of_http};
use super::request::Pump;
use super::status;

/// A request that was sent, for as long as its stream lives.
pub(crate) struct Exchange {
    pub(crate) place: Arc<Place>,
    /// Sends the rest of a streaming request.
    pump: Option<Pump>,
    /// Until the end is known.
    sent: Option<Sent>,
}

impl Exchange {
    pub(crate) fn new(place: Arc<Place>, pump: Option<Pump>, sent: Option<Sent>) -> Self {
        Self { place, pump, sent }
    }

    /// Response headers have come.
    pub(crate) fn answered(&mut self) {
        self.sent = self.sent.take().map(Sent::answered);
    }

    /// The call has ended with this code.
    pub(crate) fn ended(&mut self, code: Code) {
        if let Some(sent) = self.sent.take() {
            sent.ended(code);
        }
    }

    /// The status of a call whose stream failed.
    pub(crate) fn failed(&self, error: &h2::Error, budget: Option<Budget>) -> Status {
        if let Some(status) = self.pump.as_ref().and_then(Pump::error) {
            return status;
        }
        let lane = &self.place.lane;
        if let Some(budget) = budget.filter(Budget::is_spent)
            && error.reason() == Some(Reason::CANCEL)
        {
            return passed(budget, &format!("the stream to {} had not ended", lane.key));
        }
        status::of_stream(error, &lane.key, lane.wire.cause().as_deref())
    }
}

/// The status of a call whose deadline passed.
pub(crate) fn passed(budget: Budget, until_then: &str) -> Status {
    let text = format!("deadline of {:?} exceeded: {until_then}", budget.total);
    Failure::deadline(text).to_status()
}

/// Makes headers or trailers fit for tonic, and late cancellations what they are.
pub(crate) fn tidy(headers: &mut HeaderMap, budget: Option<Budget>) {
    status::clean(headers);
    if budget.is_some_and(|budget| budget.is_spent()) {
        status::cancelled_to_deadline(headers);
    }
}

/// The body of a response.
///
/// When it has ended, by trailers, an error or the deadline, it holds nothing of its connection
/// any more, however long it is kept. Dropping it earlier resets the stream.
pub struct ResponseBody {
    open: Option<Open>,
}

struct Open {
    stream: RecvStream,
    exchange: Exchange,
    deadline: Option<Deadline>,
    /// How the headers said that the call ends, if they did.
    ends: Option<Code>,
}

impl ResponseBody {
    pub(crate) fn new(
        head: &response::Parts,
        stream: RecvStream,
        mut exchange: Exchange,
        deadline: Option<Deadline>,
    ) -> Self {
        let code = code_of(&head.headers);
        // Headers with the end of the stream: nothing will follow.
        if stream.is_end_stream() {
            exchange.ended(code.unwrap_or_else(|| code_of_http(head.status)));
            return Self { open: None };
        }
        let open = Some(Open {
            stream,
            exchange,
            deadline,
            ends: if head.status == StatusCode::OK {
                code
            } else {
                Some(code_of_http(head.status))
            },
        });
        Self { open }
    }
}

impl Open {
    fn budget(&self) -> Option<Budget> {
        self.deadline.as_ref().map(|deadline| deadline.budget)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let Some(deadline) = &mut self.deadline else {
            return Poll::Pending;
        };
        ready!(deadline.poll_passed(cx));
        let key = &self.exchange.place.lane.key;
        let status = passed(
            deadline.budget,
            &format!("the response of {key} had not ended"),
        );
        Poll::Ready(status)
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // First, since a stream that is never short of data must end too.
        if let Poll::Ready(status) = self.poll_deadline(cx) {
            return Poll::Ready(Some(Err(status)));
        }
        if let Some(data) = ready!(self.stream.poll_data(cx)) {
            return Poll::Ready(Some(match data {
                Err(error) => Err(self.exchange.failed(&error, self.budget())),
                Ok(bytes) => {
                    // It fails only for more than was received.
                    drop(self.stream.flow_control().release_capacity(bytes.len()));
                    Ok(Frame::data(bytes))
                }
            }));
        }
        Poll::Ready(match ready!(self.stream.poll_trailers(cx)) {
            Ok(Some(mut trailers)) => {
                tidy(&mut trailers, self.budget());
                Some(Ok(Frame::trailers(trailers)))
            }
            Ok(None) if self.ends.is_none() => Some(Err(self.no_trailers())),
            Ok(None) => None,
            Err(error) => Some(Err(self.exchange.failed(&error, self.budget()))),
        })
    }

    /// The peer ended its answer without saying how the call ended.
    fn no_trailers(&self) -> Status {
        let key = &self.exchange.place.lane.key;
        Status::internal(format!("{key} ended its answer without trailers"))
    }

    /// The code that this frame ends the call with, if it is the last.
    fn end(&self, frame: Option<&Result<Frame<Bytes>, Status>>) -> Option<Code> {
        match frame {
            None => Some(self.ends.unwrap_or(Code::Unknown)),
            Some(Err(status)) => Some(status.code()),
            Some(Ok(frame)) => frame
                .trailers_ref()
                .map(|trailers| code_of(trailers).or(self.ends).unwrap_or(Code::Unknown)),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(open) = &mut self.open else {
            return Poll::Ready(None);
        };
        let frame = ready!(open.poll_frame(cx));
        if let Some(code) = open.end(frame.as_ref()) {
            open.exchange.ended(code);
            self.open = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.open.is_none()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("ended", &self.open.is_none())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn cancelled_is_the_deadline_once_the_time_is_over() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_static("50m"));
        let budget = Deadline::start(&headers).map(|deadline| deadline.budget);
        let status = |code: &'static str, budget| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", HeaderValue::from_static(code));
            headers.insert("grpc-status-details-bin", HeaderValue::from_static("!"));
            tidy(&mut headers, budget);
            assert!(!headers.contains_key("grpc-status-details-bin"));
            headers["grpc-status"].to_str().unwrap().to_owned()
        };
        assert_eq!(status("1", budget), "1", "there is time left");
        tokio::time::advance(Duration::from_millis(50)).await;
        assert_eq!(status("1", budget), "4");
        assert_eq!(status("5", budget), "5", "another answer is an answer");
        assert_eq!(status("1", None), "1");
    }
}
