//! One open keepalive stream.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::{StreamExt, TryFutureExt};
use muster_proto::v1;
use muster_rules::defaults;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::client::Shared;
use crate::error::{Error, Reason};
use crate::event::{Event, KeepaliveOutcome};
use crate::instance::duration_from_wire;
use crate::keeper::{Due, ServerChoice};
use crate::messages;
use crate::schedule::answer_within;
use crate::servers::Lane;

/// Messages that may wait to be sent. The contract allows 64 unanswered ones; a server that takes
/// none of them is as good as gone.
const UNSENT: usize = 64;

type Answers = Pin<Box<dyn Stream<Item = Result<v1::KeepAliveResponse, Status>> + Send>>;

/// How a stream ended without an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It is not needed any more.
    Idle,
    /// Another server is to be tried.
    Moving,
}

/// A message that was not answered yet.
struct Unanswered {
    sequence: u64,
    sent: Instant,
    /// When the stream counts as broken if there is no answer.
    deadline: Instant,
    leases: Vec<Due>,
}

pub(crate) struct KeepaliveStream {
    shared: Arc<Shared>,
    lane: Lane,
    requests: Option<mpsc::Sender<v1::KeepAliveRequest>>,
    answers: Answers,
    sequence: u64,
    /// Bounded by what `requests` takes and the deadline of the oldest.
    unanswered: VecDeque<Unanswered>,
    answered: bool,
}

impl KeepaliveStream {
    /// Opens a stream; whether that works is seen when it runs, since a server may answer the
    /// opening only with its first message.
    pub(crate) fn open(shared: Arc<Shared>, lane: Lane) -> KeepaliveStream {
        let (requests, messages) = mpsc::channel(UNSENT);
        let mut stub = lane.connection.registrations();
        let answers = async move {
            let response = stub.keep_alive(ReceiverStream::new(messages)).await?;
            Ok(response.into_inner())
        };
        KeepaliveStream {
            shared,
            lane,
            requests: Some(requests),
            answers: Box::pin(answers.try_flatten_stream()),
            sequence: 0,
            unanswered: VecDeque::new(),
            answered: false,
        }
    }

    pub(crate) fn was_answered(&self) -> bool {
        self.answered
    }

    /// Sends what is due and takes answers until the stream breaks, is left for another server or
    /// is not needed any more.
    pub(crate) async fn run(&mut self, choice: &mut ServerChoice) -> Result<Ended, Error> {
        let shared = self.shared.clone();
        let keeper = &shared.keeper;
        while !keeper.is_idle() {
            let now = Instant::now();
            self.send_due(now)?;
            let wanted = self.next_wake(now);
            tokio::select! {
                () = sleep_until(wanted) => {
                    keeper.woke(wanted);
                    self.check_overdue(Instant::now())?;
                }
                () = keeper.woken() => keeper.woke(wanted),
                answer = self.answers.next() => {
                    keeper.woke(wanted);
                    if self.take(&self.received(answer)?, choice) {
                        return Ok(Ended::Moving);
                    }
                }
            }
        }
        Ok(Ended::Idle)
    }

    fn received(
        &self,
        answer: Option<Result<v1::KeepAliveResponse, Status>>,
    ) -> Result<v1::KeepAliveResponse, Error> {
        let ended = || Err(Status::unavailable("the server ended the stream"));
        answer
            .unwrap_or_else(ended)
            .map_err(|status| self.lane.error(status, "keepalive", ""))
    }

    /// Sends one message for each batch of leases that are due.
    fn send_due(&mut self, now: Instant) -> Result<(), Error> {
        let due = self.shared.keeper.take_due(now);
        for leases in due.chunks(self.lane.connection.leases_per_message()) {
            self.sequence += 1;
            let message = v1::KeepAliveRequest {
                sequence: self.sequence,
                lease_ids: leases.iter().map(|l| l.id.clone()).collect(),
                reports: Vec::new(),
            };
            let shortest = leases.iter().map(|l| answer_within(l.ttl)).min();
            self.unanswered.push_back(Unanswered {
                sequence: self.sequence,
                sent: now,
                deadline: now + shortest.unwrap_or_default(),
                leases: leases.to_vec(),
            });
            let sent = self.requests.as_ref().map(|r| r.try_send(message));
            if !matches!(sent, Some(Ok(()))) {
                let status = Status::unavailable("the server takes no more messages");
                return Err(self.lane.error(status, "keepalive", ""));
            }
        }
        Ok(())
    }

    /// When something is due, or an answer is overdue.
    fn next_wake(&self, now: Instant) -> Instant {
        let next = self.shared.keeper.next_due(now);
        let overdue = self.unanswered.iter().map(|u| u.deadline).min();
        overdue.map_or(next, |at| at.min(next))
    }

    fn check_overdue(&self, now: Instant) -> Result<(), Error> {
        let Some(late) = self.unanswered.iter().find(|u| u.deadline <= now) else {
            return Ok(());
        };
        // A connection that swallows messages is not used again.
        self.lane.connection.mark_broken();
        let text = messages::unanswered(self.lane.address(), now - late.sent);
        Err(Error::new(Reason::Deadline, text)
            .about("keepalive", "")
            .at(self.lane.address()))
    }

    /// Applies one answer; true if another server is to be tried.
    fn take(&mut self, answer: &v1::KeepAliveResponse, choice: &mut ServerChoice) -> bool {
        let found = self
            .unanswered
            .iter()
            .position(|u| u.sequence == answer.sequence);
        let Some(message) = found.and_then(|i| self.unanswered.remove(i)) else {
            return false;
        };
        self.answered = true;
        let exceptions: BTreeMap<usize, &v1::KeepAliveException> = answer
            .exceptions
            .iter()
            .map(|e| (e.lease_index as usize, e))
            .collect();
        let mut stuck = None;
        for (index, due) in message.leases.iter().enumerate() {
            let kind = exceptions.get(&index).and_then(|e| e.kind.as_ref());
            self.tell(due, message.sent, kind);
            if self.take_one(due, message.sent, kind) >= defaults::MOVE_AFTER {
                stuck = stuck.max(Some(due.ttl));
            }
        }
        stuck.is_some_and(|ttl| choice.leave(&self.lane, &self.shared.servers, ttl))
    }

    /// Tells what an answer says of one lease.
    fn tell(&self, due: &Due, sent: Instant, kind: Option<&v1::keep_alive_exception::Kind>) {
        use v1::keep_alive_exception::Kind;
        let outcome = match kind {
            Some(Kind::Lost(_)) => KeepaliveOutcome::Lost,
            Some(Kind::Unconfirmed(_)) => KeepaliveOutcome::Unconfirmed,
            Some(Kind::ReportRefused(_)) | None => KeepaliveOutcome::Confirmed,
        };
        let event = Event::KeepaliveAnswered {
            subject: &due.session.subject,
            server: self.lane.address(),
            outcome,
            duration: sent.elapsed(),
        };
        self.shared.config.telemetry.observe(&event);
    }

    /// Applies what an answer says of one lease, and returns how many answers in a row have not
    /// confirmed it.
    fn take_one(
        &self,
        due: &Due,
        sent: Instant,
        kind: Option<&v1::keep_alive_exception::Kind>,
    ) -> u32 {
        use v1::keep_alive_exception::Kind;
        let keeper = &self.shared.keeper;
        match kind {
            Some(Kind::Lost(lost)) => {
                let reason = Reason::from_number(lost.reason);
                let text = messages::server_error(
                    "keepalive",
                    &due.session.subject,
                    self.lane.address(),
                    &lost.message,
                );
                let error = Error::new(reason, text).about("keepalive", "");
                keeper.lost(due, error.at(self.lane.address()));
                0
            }
            Some(Kind::Unconfirmed(u)) => {
                let retry = duration_from_wire(u.retry_after.as_ref()).unwrap_or_default();
                let retry = retry
                    .max(defaults::KEEPALIVES_TOGETHER)
                    .min(answer_within(due.ttl));
                let in_a_row = keeper.reschedule(due, Instant::now() + retry);
                let text = messages::unconfirmed(unconfirmed_reason(u.reason), retry);
                due.session.lease_unconfirmed(&due.id, &text, None);
                in_a_row
            }
            Some(Kind::ReportRefused(_)) | None => {
                keeper.confirm(due, sent, self.shared.config.word());
                due.session.lease_confirmed(&due.id);
                0
            }
        }
    }

    /// Tells the server that the stream is left on purpose, and gives it a moment to end it.
    pub(crate) async fn half_close(&mut self) {
        self.requests = None;
        let ended = async { while let Some(Ok(_)) = self.answers.next().await {} };
        // A server that does not end it is left without a word more.
        let _ = timeout(defaults::HALF_CLOSE_TIMEOUT, ended).await;
    }
}

fn unconfirmed_reason(number: i32) -> &'static str {
    use v1::UnconfirmedReason as R;
    match R::try_from(number) {
        Ok(R::ViewOld) => "VIEW_OLD",
        Ok(R::Adopting) => "ADOPTING",
        Ok(R::Expiring) => "EXPIRING",
        Ok(R::NoSession) => "NO_SESSION",
        Ok(R::Unspecified) | Err(_) => "UNKNOWN",
    }
}
