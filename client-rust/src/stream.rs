//! One open watch stream.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, TryFutureExt};
use muster_proto::v1;
use muster_proto::v1::watch_response::Frame;
use muster_rules::defaults;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Request, Status};

use crate::ack::{Ack, Acks, Next};
use crate::backoff::{below, millis};
use crate::client::Shared;
use crate::error::{Error, Reason};
use crate::event::{Event, StreamKind};
use crate::freshness::StreamClock;
use crate::instance::ServiceName;
use crate::messages;
use crate::servers::Lane;
use crate::stream_calls::Update;
use crate::telemetry::result_of;
use crate::watch::{Staged, Watch};

type Frames = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

/// How a stream ended without an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing is wanted any more, or something is wanted without its position.
    Reopen,
    /// Another one should be opened, and this one left then.
    Handover,
}

/// What was asked for on this stream and what became of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    resumed: bool,
    /// The view whose frames it gets, once answered.
    view_id: Option<u64>,
    /// When the stream counts as broken if it is not answered.
    deadline: Instant,
}

pub(crate) struct WatchStream {
    pub(crate) lane: Lane,
    pub(crate) began: Instant,
    /// Whether a frame was delivered.
    pub(crate) delivered: bool,
    /// Whether the server cannot reach its store.
    pub(crate) isolated: bool,
    frames: Frames,
    pub(crate) first: v1::Opened,
    pub(crate) asked: BTreeMap<u32, Asked>,
    clock: StreamClock,
    pub(crate) update: Option<Update>,
    pub(crate) acks: Acks,
    pub(crate) acking: Option<(Ack, BoxFuture<'static, ()>)>,
    idle_at: Instant,
    handover_at: Instant,
}

impl WatchStream {
    /// Opens a stream and waits for Opened.
    pub(crate) async fn open(
        shared: &Arc<Shared>,
        lane: Lane,
        message: v1::WatchRequest,
    ) -> Result<WatchStream, Error> {
        let began = Instant::now();
        let deadline = began + defaults::CALL_TIMEOUT;
        let asked = message
            .subscriptions
            .iter()
            .map(|s| (s.subscription_id, Asked::new(s, deadline)))
            .collect();
        let mut stub = lane.connection.discovery();
        let frames = async move {
            let response = stub.watch(Request::new(message)).await?;
            Ok(response.into_inner())
        };
        let mut frames: Frames = Box::pin(frames.try_flatten_stream());
        let first = first_frame(&lane, &mut frames).await?;
        shared.config.telemetry.observe(&Event::StreamOpened {
            stream: StreamKind::Watch,
            server: lane.address(),
        });
        Ok(WatchStream {
            lane,
            began,
            delivered: false,
            isolated: false,
            frames,
            first,
            asked,
            clock: StreamClock::default(),
            update: None,
            acks: Acks::default(),
            acking: None,
            idle_at: began + defaults::IDLE_STREAM_TIMEOUT,
            handover_at: began + defaults::STREAM_LIFETIME,
        })
    }

    /// Tells that the stream ended: why, or by choice.
    pub(crate) fn tell_end(&self, shared: &Shared, result: &Result<(), Error>) {
        shared.config.telemetry.observe(&Event::StreamEnded {
            stream: StreamKind::Watch,
            server: self.lane.address(),
            result: result_of(result),
            duration: self.began.elapsed(),
        });
    }

    /// The cluster and the epoch of the server.
    pub(crate) fn who(&self) -> (&str, u64) {
        (&self.first.cluster_id, self.first.epoch)
    }

    /// Makes this the stream that everything wanted follows.
    pub(crate) fn take_over(&mut self, watch: &mut Watch) {
        for (id, asked) in &self.asked {
            if let Some(track) = watch.tracks.get_mut(id) {
                track.frames.begin_stream(asked.resumed);
                track.staged = Staged::default();
            }
        }
        let first = self.first.clone();
        self.opened(watch, first);
        self.stay(watch);
        self.idle_at = Instant::now() + defaults::IDLE_STREAM_TIMEOUT;
    }

    /// Puts off leaving the stream by choice: for about an hour, or if its server is isolated
    /// until the next look for another.
    pub(crate) fn stay(&mut self, watch: &Watch) {
        let word = watch.shared.config.word();
        let spread = below(word, millis(defaults::STREAM_LIFETIME * 2 / 5) + 1);
        let mut wait = defaults::STREAM_LIFETIME * 4 / 5 + Duration::from_millis(spread);
        if self.isolated && watch.shared.servers.len() > 1 {
            wait = defaults::ISOLATED_RETRY;
        }
        self.handover_at = Instant::now() + wait;
    }

    /// Serves the stream until it breaks, should be left, or is not needed.
    pub(crate) async fn run(&mut self, watch: &mut Watch) -> Result<Ended, Error> {
        let wake = watch.lane.clone();
        loop {
            self.sync(watch);
            if watch.tracks.is_empty() {
                return Ok(Ended::Reopen);
            }
            let deadline = self.next_deadline(watch);
            tokio::select! {
                frame = self.frames.next() => self.take(watch, frame)?,
                result = pending(self.update.as_mut().map(|u| &mut u.call)) => {
                    self.updated(watch, result)?;
                }
                () = pending(self.acking.as_mut().map(|(_, call)| call)) => self.acked(),
                () = wake.woken() => {}
                () = sleep_until(deadline) => {
                    if let Some(ended) = self.deadline_passed(watch)? {
                        return Ok(ended);
                    }
                }
            }
        }
    }

    /// When `deadline_passed` has something to say, or an acknowledgement can be sent.
    fn next_deadline(&self, watch: &Watch) -> Instant {
        let retries = watch.tracks.values().filter_map(|t| t.retry_at);
        let unanswered = self.asked.values().filter(|a| a.view_id.is_none());
        let mut next = retries
            .chain(unanswered.map(|a| a.deadline))
            .chain([self.handover_at])
            .fold(self.idle_at, Instant::min);
        if self.acking.is_none()
            && let Next::At(at) = self.acks.next(Instant::now())
        {
            next = next.min(at);
        }
        next
    }

    fn deadline_passed(&mut self, watch: &mut Watch) -> Result<Option<Ended>, Error> {
        let now = Instant::now();
        let unanswered = self
            .asked
            .values()
            .any(|a| a.view_id.is_none() && now >= a.deadline);
        if now >= self.idle_at || unanswered {
            // A connection that swallows messages is not used again.
            self.lane.connection.mark_broken();
            watch.shared.servers.failed(self.lane.index());
            let waited = if unanswered {
                defaults::CALL_TIMEOUT
            } else {
                defaults::IDLE_STREAM_TIMEOUT
            };
            return Err(quiet(&self.lane, waited));
        }
        for track in watch.tracks.values_mut() {
            if track.retry_at.is_some_and(|at| now >= at) {
                track.retry_at = None;
                return Ok(Some(Ended::Reopen));
            }
        }
        Ok((now >= self.handover_at).then_some(Ended::Handover))
    }

    /// Applies one frame.
    fn take(
        &mut self,
        watch: &mut Watch,
        frame: Option<Result<v1::WatchResponse, Status>>,
    ) -> Result<(), Error> {
        let frame = match frame.unwrap_or_else(|| Err(ended())) {
            Ok(frame) => frame,
            Err(status) => {
                let e = self.lane.error(status, "watch", "");
                watch.shared.servers.blame(self.lane.index(), &e);
                return Err(e);
            }
        };
        self.delivered = true;
        self.idle_at = Instant::now() + defaults::IDLE_STREAM_TIMEOUT;
        match frame.frame {
            Some(Frame::Opened(opened)) => {
                watch.heard(opened.epoch);
                self.opened(watch, opened);
                Ok(())
            }
            Some(Frame::Snapshot(s)) => self.update_view(watch, Content::Snapshot(s)),
            Some(Frame::Delta(d)) => self.update_view(watch, Content::Delta(d)),
            Some(Frame::Progress(p)) => self.update_view(watch, Content::Progress(p)),
            // A kind of frame that this client does not know.
            None => Ok(()),
        }
    }

    /// Takes answers to subscriptions.
    fn opened(&mut self, watch: &mut Watch, opened: v1::Opened) {
        if !opened.stream_id.is_empty() {
            self.first.stream_id = opened.stream_id;
        }
        for answer in opened.subscriptions {
            let id = answer.subscription_id;
            if !self.asked.contains_key(&id) {
                continue; // removed meanwhile
            }
            if let Some(refusal) = answer.refusal {
                self.asked.remove(&id);
                let e = refused(watch, id, &self.lane, &refusal);
                watch.refuse(id, e);
                continue;
            }
            self.share_view(watch, id, answer.view_id);
            if let Some(asked) = self.asked.get_mut(&id) {
                asked.view_id = Some(answer.view_id);
            }
            if let Some(track) = watch.tracks.get_mut(&id) {
                track.frames.drop_stage();
                track.staged = Staged::default();
                let names = answer.forbidden.into_iter();
                track.forbidden = names
                    .map(|n| ServiceName::new(n.namespace, n.service))
                    .collect();
            }
        }
    }

    /// Selectors whose meaning is equal though their form is not share the frames of one view: the
    /// newcomer begins with what the other holds, since what follows is for both.
    fn share_view(&self, watch: &mut Watch, id: u32, view_id: u64) {
        let other = self
            .asked
            .iter()
            .find(|(other, a)| **other != id && a.view_id == Some(view_id));
        let held = other
            .and_then(|(other, _)| watch.tracks.get(other))
            .filter(|t| t.frames.known().is_some_and(|k| k.view_id == view_id))
            .map(|t| (t.frames.clone(), t.watched.view()));
        if let (Some((frames, view)), Some(track)) = (held, watch.tracks.get_mut(&id)) {
            track.frames = frames;
            let fixed = &track.watched.fixed;
            track.watched.publish(|own| {
                own.show(&view);
                own.instances = track.frames.instances();
                own.services = track.frames.services();
                if let Some(fixed) = fixed {
                    fixed.add_to(own);
                }
            });
        }
    }

    /// Who shows a view.
    pub(crate) fn shown_by(&self, view_id: u64) -> Vec<u32> {
        let asked = self.asked.iter();
        asked
            .filter(|(_, a)| a.view_id == Some(view_id))
            .map(|(id, _)| *id)
            .collect()
    }

    pub(crate) fn clock(&mut self) -> &mut StreamClock {
        &mut self.clock
    }

    pub(crate) fn acks(&mut self) -> &mut Acks {
        &mut self.acks
    }

    /// Makes the stream be left soon if its server cannot reach its store and there are others.
    pub(crate) fn note_isolated(&mut self, watch: &Watch, now: bool) {
        if now == self.isolated {
            return;
        }
        self.isolated = now;
        self.stay(watch);
        if now && watch.shared.servers.len() > 1 {
            self.handover_at = Instant::now();
        }
    }
}

impl Asked {
    pub(crate) fn new(s: &v1::Subscription, deadline: Instant) -> Asked {
        Asked {
            resumed: s.resume.is_some(),
            view_id: None,
            deadline,
        }
    }
}

/// Waits for Opened.
async fn first_frame(lane: &Lane, frames: &mut Frames) -> Result<v1::Opened, Error> {
    let frame = match timeout(defaults::CALL_TIMEOUT, frames.next()).await {
        Err(_) => return Err(quiet(lane, defaults::CALL_TIMEOUT)),
        Ok(None) => return Err(lane.error(ended(), "watch", "")),
        Ok(Some(Err(status))) => return Err(lane.error(status, "watch", "")),
        Ok(Some(Ok(frame))) => frame,
    };
    match frame.frame {
        Some(Frame::Opened(first)) => Ok(first),
        _ => Err(violation(lane, "the first frame is not Opened")),
    }
}

/// A frame that belongs to a view.
pub(crate) enum Content {
    Snapshot(v1::Snapshot),
    Delta(v1::Delta),
    Progress(v1::Progress),
}

/// Waits for a call, for ever if there is none.
async fn pending<T>(call: Option<&mut BoxFuture<'static, T>>) -> T {
    match call {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}

fn ended() -> Status {
    Status::unavailable("the server ended the stream")
}

pub(crate) fn quiet(lane: &Lane, waited: Duration) -> Error {
    let text = messages::quiet_stream(lane.address(), waited);
    Error::new(Reason::Deadline, text)
        .about("watch", "")
        .at(lane.address())
}

pub(crate) fn violation(lane: &Lane, what: &str) -> Error {
    let text = messages::violation(lane.address(), what);
    Error::new(Reason::ProtocolViolation, text)
        .about("watch", "")
        .at(lane.address())
}

fn refused(watch: &Watch, id: u32, lane: &Lane, refusal: &v1::Refusal) -> Error {
    let subject = watch
        .tracks
        .get(&id)
        .map(|t| t.watched.selector.to_string());
    let subject = subject.unwrap_or_default();
    let text = messages::server_error("watch", &subject, lane.address(), &refusal.message);
    Error::new(Reason::from_number(refusal.reason), text)
        .about("watch", subject)
        .at(lane.address())
}
