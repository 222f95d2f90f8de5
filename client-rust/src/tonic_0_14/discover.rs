//! For those who balance by themselves: the endpoints of a subscription as tower's `Discover`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use futures_core::Stream;
use futures_util::stream::{self, StreamExt};
use http::{Request, Response};
use tokio::sync::watch;
use tonic::Status;
use tonic::codegen::Service;
use tower::discover::Change;

use crate::kinds::Lifecycle;
use crate::subscription::{Picker, Subscription};

use super::channel::{CallFuture, Channel, ChannelOptions};
use super::endpoint::{Endpoint, EndpointKey, EndpointSet};
use super::response::ResponseBody;
use super::subscription::set;

/// The endpoints of a subscription's instances that take requests, as they come and go: a
/// `tower::discover::Discover` that never fails, and ends with the client.
///
/// Each is a service with a connection of its own. One that changes in weight, health or metadata
/// alone is not inserted again: [`Discovered::endpoint`] shows what it is now. An instance that is
/// drained gets no request any more once its removal is announced, whatever the balancer holds.
/// It has to be polled within a tokio runtime.
#[must_use]
pub fn discover(subscription: &Subscription, options: ChannelOptions) -> Discover {
    let state = State {
        picker: subscription.add_picker(),
        subscription: subscription.clone(),
        options,
        generation: 0,
        known: BTreeMap::new(),
    };
    let changes = stream::unfold(state, State::next).flat_map(stream::iter);
    Discover(Box::pin(changes.map(Ok)))
}

type Changes =
    Pin<Box<dyn Stream<Item = Result<Change<EndpointKey, Discovered>, Infallible>> + Send>>;

/// The stream of [`discover`].
pub struct Discover(Changes);

impl Stream for Discover {
    type Item = Result<Change<EndpointKey, Discovered>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Discover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discover").finish_non_exhaustive()
    }
}

/// One endpoint as a service.
#[derive(Clone, Debug)]
pub struct Discovered {
    channel: Channel,
    endpoint: Arc<ArcSwap<Endpoint>>,
}

impl Discovered {
    /// What is known of it now.
    #[must_use]
    pub fn endpoint(&self) -> Arc<Endpoint> {
        self.endpoint.load_full()
    }

    /// Its requests that have not ended.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.channel.endpoints().iter().map(|e| e.in_flight).sum()
    }
}

/// The requests in flight, for tower's choice of two.
impl tower::load::Load for Discovered {
    type Metric = u64;

    fn load(&self) -> u64 {
        self.in_flight()
    }
}

impl<B> Service<Request<B>> for Discovered
where
    Channel:
        Service<Request<B>, Response = Response<ResponseBody>, Error = Status, Future = CallFuture>,
{
    type Response = Response<ResponseBody>;
    type Error = Status;
    type Future = CallFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> CallFuture {
        self.channel.call(request)
    }
}

struct Known {
    endpoint: Arc<ArcSwap<Endpoint>>,
    sets: watch::Sender<Arc<EndpointSet>>,
    applied: watch::Receiver<u64>,
}

struct State {
    subscription: Subscription,
    picker: Picker,
    options: ChannelOptions,
    generation: u64,
    known: BTreeMap<EndpointKey, Known>,
}

impl State {
    /// The changes of the next view that has any; `None` once there will be no more.
    async fn next(mut self) -> Option<(Vec<Change<EndpointKey, Discovered>>, Self)> {
        loop {
            let view = self.subscription.view();
            if view.is_received() {
                self.generation += 1;
                let changes = self.changes(&view).await;
                self.picker.applied(&view);
                if !changes.is_empty() {
                    return Some((changes, self));
                }
            }
            self.subscription.changed().await.ok()?;
        }
    }

    async fn changes(&mut self, view: &crate::View) -> Vec<Change<EndpointKey, Discovered>> {
        let mut wanted = BTreeMap::new();
        for state in view
            .instances()
            .chunk_by(|a, b| a.service_name() == b.service_name())
        {
            let service = state[0].service_name();
            let name = self.options.endpoint.as_deref();
            for endpoint in set(view, &service, name, self.generation).endpoints {
                let serves = endpoint.lifecycle == Lifecycle::Serving && endpoint.weight > 0;
                if serves && !endpoint.key.address.is_empty() {
                    wanted.insert(endpoint.key.clone(), (service.to_string(), endpoint));
                }
            }
        }
        let mut changes = Vec::new();
        let gone: Vec<_> = self
            .known
            .keys()
            .filter(|key| !wanted.contains_key(key))
            .cloned()
            .collect();
        for key in gone {
            if let Some(known) = self.known.remove(&key) {
                known.end(self.generation).await;
            }
            changes.push(Change::Remove(key));
        }
        for (key, (target, endpoint)) in wanted {
            match self.known.get(&key) {
                Some(known) => known.update(endpoint, self.generation),
                None => changes.extend(self.insert(key, &target, endpoint)),
            }
        }
        changes
    }

    fn insert(
        &mut self,
        key: EndpointKey,
        target: &str,
        endpoint: Endpoint,
    ) -> Option<Change<EndpointKey, Discovered>> {
        let shown = EndpointSet::new(self.generation, vec![endpoint.clone()]);
        let sets = watch::Sender::new(Arc::new(shown));
        let channel = Channel::from_source(target, sets.subscribe(), self.options.clone()).ok()?;
        let endpoint = Arc::new(ArcSwap::from_pointee(endpoint));
        let known = Known {
            endpoint: Arc::clone(&endpoint),
            sets,
            applied: channel.applied(),
        };
        self.known.insert(key.clone(), known);
        Some(Change::Insert(key, Discovered { channel, endpoint }))
    }
}

impl Known {
    fn update(&self, endpoint: Endpoint, generation: u64) {
        if **self.endpoint.load() != endpoint {
            let shown = EndpointSet::new(generation, vec![endpoint.clone()]);
            self.sets.send_replace(Arc::new(shown));
            self.endpoint.store(Arc::new(endpoint));
        }
    }

    /// Lets no request go there any more, also if a balancer still holds the service.
    async fn end(mut self, generation: u64) {
        let nothing = EndpointSet::new(generation, Vec::new());
        self.sets.send_replace(Arc::new(nothing));
        // An error means that the channel is gone.
        let _ = self.applied.wait_for(|&now| now >= generation).await;
    }
}
