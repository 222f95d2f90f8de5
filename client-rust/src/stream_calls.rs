//! The calls that belong to an open watch stream: UpdateWatch and AckWatch, one of each at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use muster_proto::v1;
use muster_rules::defaults;
use tokio::time::{Instant, sleep, timeout};

use crate::ack::{Ack, Next};
use crate::backoff::Backoff;
use crate::calls::request;
use crate::client::Shared;
use crate::error::{Error, Reason};
use crate::messages;
use crate::stream::{Asked, WatchStream, quiet};
use crate::watch::{Watch, is_refusal};

/// Subscriptions that one UpdateWatch adds at most.
const UPDATE_BATCH: usize = 100;
/// How often one acknowledgement is tried; a drain that misses it ends by its deadline.
const ACK_TRIES: usize = 5;
/// The longest wait between these tries.
const ACK_CAP: Duration = Duration::from_secs(1);

/// A call of UpdateWatch that is under way.
pub(crate) struct Update {
    added: Vec<u32>,
    pub(crate) call: BoxFuture<'static, Result<(), Error>>,
}

impl WatchStream {
    /// Brings the stream to what is wanted, and acknowledges what was asked for.
    pub(crate) fn sync(&mut self, watch: &mut Watch) {
        if self.acking.is_none()
            && let Next::Send(ack) = self.acks.next(Instant::now())
        {
            let call = self.call_ack(watch.shared.clone(), &ack);
            self.acking = Some((ack, call));
        }
        watch.sync_tracks();
        if self.update.is_some() {
            return;
        }
        let remove = self.unwanted(watch);
        let add = self.wanting(watch);
        if add.is_empty() && remove.is_empty() {
            return;
        }
        self.update = Some(self.call_update(v1::UpdateWatchRequest {
            stream_id: self.first.stream_id.clone(),
            add,
            remove,
        }));
    }

    /// Forgets, and names, what was asked for and is wanted no more.
    fn unwanted(&mut self, watch: &Watch) -> Vec<u32> {
        let asked = self.asked.keys().copied();
        let unwanted: Vec<u32> = asked.filter(|id| !watch.tracks.contains_key(id)).collect();
        for id in &unwanted {
            self.asked.remove(id);
        }
        unwanted
    }

    /// Asks for what is wanted and was not asked for yet.
    fn wanting(&mut self, watch: &mut Watch) -> Vec<v1::Subscription> {
        let batch = if watch.one_by_one { 1 } else { UPDATE_BATCH };
        // The call itself, and the frame that answers it.
        let deadline = Instant::now() + defaults::CALL_TIMEOUT * 2;
        let wanted = watch.tracks.keys().copied();
        let new: Vec<u32> = wanted
            .filter(|id| !self.asked.contains_key(id))
            .take(batch)
            .collect();
        let mut add = Vec::new();
        for id in new {
            let Some(subscription) = watch.subscription(id) else {
                continue;
            };
            if let Some(track) = watch.tracks.get_mut(&id) {
                track.frames.begin_stream(subscription.resume.is_some());
            }
            self.asked.insert(id, Asked::new(&subscription, deadline));
            add.push(subscription);
        }
        add
    }

    fn call_update(&self, message: v1::UpdateWatchRequest) -> Update {
        let added = message.add.iter().map(|s| s.subscription_id).collect();
        let lane = self.lane.clone();
        let call = async move {
            let mut stub = lane.connection.discovery();
            let deadline = Instant::now() + defaults::CALL_TIMEOUT;
            match timeout(
                defaults::CALL_TIMEOUT,
                stub.update_watch(request(message, deadline)),
            )
            .await
            {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(status)) => Err(lane.error(status, "watch", "")),
                Err(_) => Err(quiet(&lane, defaults::CALL_TIMEOUT)),
            }
        };
        Update {
            added,
            call: Box::pin(call),
        }
    }

    /// Handles the result of UpdateWatch. An error that the server means for one subscription ends
    /// that one; any other reopens the stream.
    pub(crate) fn updated(
        &mut self,
        watch: &mut Watch,
        result: Result<(), Error>,
    ) -> Result<(), Error> {
        let added = self.update.take().map(|u| u.added).unwrap_or_default();
        let Err(e) = result else {
            return Ok(());
        };
        if !is_refusal(&e) || added.is_empty() {
            return Err(e);
        }
        for id in &added {
            self.asked.remove(id);
        }
        match added.as_slice() {
            [id] => watch.refuse(*id, e),
            _ => watch.one_by_one = true,
        }
        Ok(())
    }

    fn call_ack(&self, shared: Arc<Shared>, ack: &Ack) -> BoxFuture<'static, ()> {
        let message = v1::AckWatchRequest {
            stream_id: self.first.stream_id.clone(),
            epoch: ack.at.epoch,
            revision: ack.at.revision,
            view_ids: ack.view_ids.clone(),
        };
        let lane = self.lane.clone();
        Box::pin(async move {
            shared.budget.call();
            let mut retries = Backoff::default();
            for _ in 0..ACK_TRIES {
                let mut stub = lane.connection.discovery();
                let call = stub.ack_watch(request(
                    message.clone(),
                    Instant::now() + defaults::CALL_TIMEOUT,
                ));
                let e = match timeout(defaults::CALL_TIMEOUT, call).await {
                    Ok(Ok(_)) => return,
                    Ok(Err(status)) => lane.error(status, "ack", ""),
                    Err(_) => Error::new(
                        Reason::Deadline,
                        messages::no_answer(defaults::CALL_TIMEOUT),
                    ),
                };
                // An error that stays, as NOT_FOUND, means that nobody waits for it any more.
                if !e.is_retryable() {
                    return;
                }
                sleep(shared.delay(&e, &mut retries, ACK_CAP)).await;
            }
        })
    }

    pub(crate) fn acked(&mut self) {
        if let Some((ack, _)) = self.acking.take() {
            self.acks.sent(&ack);
        }
    }
}
