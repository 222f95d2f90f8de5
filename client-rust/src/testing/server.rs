//! The services of the contract.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::{StreamExt, stream};
use muster_proto::v1;
use muster_proto::v1::ErrorReason;
use muster_proto::v1::discovery_service_server::DiscoveryService;
use muster_proto::v1::registration_service_server::RegistrationService;
use muster_proto::v1::server_service_server::ServerService;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::check::{self, DEFAULT_DRAIN_TIMEOUT, MAX_DRAIN_TIMEOUT};
use super::core::CLUSTER_ID;
use super::drain::Standing;
use super::fault::Fault;
use super::network::From as Origin;
use super::registry::Shared;
use super::selection::Selection;
use super::stream::stream_unknown;
use crate::config::VERSION;
use crate::instance::duration_to_wire;

/// The one version of the protocol that is served.
const PROTOCOL: u32 = 1;
/// How long a read waits for a revision to come.
const READ_WAIT: Duration = Duration::from_secs(2);

/// All features of docs/protocol.md, section 9, sorted, and whether they are served here.
const FEATURES: [(&str, bool); 14] = [
    ("ack", true),
    ("authorization", false),
    ("checks", false),
    ("drain_barrier", true),
    ("federation", false),
    ("linearizable", true),
    ("lookup_unchanged", true),
    ("mass_expiry_guard", false),
    ("overrides", false),
    ("recovery", true),
    ("report_outcomes", false),
    ("server_side_selectors", true),
    ("suspect", false),
    ("traffic_policy", false),
];

/// What is known of a client.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) address: String,
    /// Whether it acknowledges drains.
    pub(super) acks: bool,
}

impl Caller {
    fn of<T>(request: &Request<T>) -> Caller {
        let features = header(request, "muster-features");
        let origin = request.extensions().get::<Origin>();
        Caller {
            name: header(request, "muster-client-name").to_owned(),
            address: origin.map(ToString::to_string).unwrap_or_default(),
            acks: features.split(',').any(|f| f.trim() == "ack"),
        }
    }
}

fn header<'a, T>(request: &'a Request<T>, key: &str) -> &'a str {
    let value = request.metadata().get(key);
    value.and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// Refuses clients of another version.
fn speaks_protocol<T>(request: &Request<T>) -> Result<(), Fault> {
    let version = header(request, "muster-protocol");
    if version.is_empty() || version == PROTOCOL.to_string() {
        return Ok(());
    }
    let text = format!("protocol version {version:?} is not served, only {PROTOCOL} is");
    Err(Fault::new(ErrorReason::ProtocolNotServed, text)
        .with("oldest", PROTOCOL)
        .with("newest", PROTOCOL))
}

/// The services, on what they share.
#[derive(Clone)]
pub(super) struct Services(pub(super) Arc<Shared>);

type Answer<T> = Result<Response<T>, Status>;
type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl RegistrationService for Services {
    async fn register(&self, r: Request<v1::RegisterRequest>) -> Answer<v1::RegisterResponse> {
        speaks_protocol(&r)?;
        let request = r.into_inner();
        let (instances, ttl) = check::register(&request)?;
        let answer = self
            .0
            .with(|core, now| core.register(&request, instances, ttl, now));
        Ok(Response::new(answer?))
    }

    async fn update(&self, r: Request<v1::UpdateRequest>) -> Answer<v1::UpdateResponse> {
        speaks_protocol(&r)?;
        let answer = self.0.with(|core, now| core.update(r.into_inner(), now));
        Ok(Response::new(answer?))
    }

    async fn deregister(
        &self,
        r: Request<v1::DeregisterRequest>,
    ) -> Answer<v1::DeregisterResponse> {
        speaks_protocol(&r)?;
        let r = r.into_inner();
        let answer = self.0.with(|core, now| {
            let names = core.held_all(&r.lease_id, r.instances)?;
            core.deregister(&r.lease_id, &names, now);
            Ok::<_, Fault>(v1::DeregisterResponse {
                epoch: core.state.epoch,
                revision: core.state.revision,
            })
        });
        Ok(Response::new(answer?))
    }

    async fn drain(&self, r: Request<v1::DrainRequest>) -> Answer<v1::DrainResponse> {
        speaks_protocol(&r)?;
        let r = r.into_inner();
        let timeout = check::duration(
            "timeout",
            r.timeout.as_ref(),
            DEFAULT_DRAIN_TIMEOUT,
            Duration::ZERO,
            MAX_DRAIN_TIMEOUT,
        )?;
        let deadline = Instant::now() + timeout;
        let drains = self
            .0
            .with(|core, now| core.start_drain(&r.lease_id, r.instances, now))?;
        loop {
            let mut changed = self.0.changed();
            let standing = self
                .0
                .with(|core, now| core.standing(&drains, deadline, now));
            match standing? {
                Standing::Answer(response) => return Ok(Response::new(response)),
                Standing::Wait(until) => wait(&mut changed, until).await,
            }
        }
    }

    type KeepAliveStream = Frames<v1::KeepAliveResponse>;

    async fn keep_alive(
        &self,
        r: Request<Streaming<v1::KeepAliveRequest>>,
    ) -> Answer<Self::KeepAliveStream> {
        speaks_protocol(&r)?;
        let start = (self.0.clone(), r.into_inner(), Some(0));
        let answers = stream::unfold(start, |(shared, mut requests, previous)| async move {
            let previous = previous?;
            let request = match requests.next().await? {
                Ok(request) => request,
                Err(broken) => return Some((Err(broken), (shared, requests, None))),
            };
            let sequence = request.sequence;
            let answer = shared.with(|core, now| core.keep_alive(request, previous, now));
            let next = answer.is_ok().then_some(sequence);
            let answer = answer.map_err(Status::from);
            Some((answer, (shared, requests, next)))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Waits for a change, until a moment.
async fn wait(changed: &mut watch::Receiver<()>, until: Instant) {
    tokio::select! {
        _ = changed.changed() => {}
        () = sleep_until(until) => {}
    }
}

#[tonic::async_trait]
impl DiscoveryService for Services {
    async fn lookup(&self, r: Request<v1::LookupRequest>) -> Answer<v1::LookupResponse> {
        speaks_protocol(&r)?;
        let r = r.into_inner();
        // One registry is always its newest, so that LINEARIZABLE asks for nothing more.
        let sel = Selection::compile(r.selector)?;
        if let Some(wanted) = r.min_position {
            let deadline = Instant::now() + READ_WAIT;
            loop {
                let mut changed = self.0.changed();
                if self.0.with(|core, _| core.reached(&wanted))? {
                    break;
                }
                if Instant::now() >= deadline {
                    return Err(self.0.with(|core, _| core.view_behind(&wanted)).into());
                }
                wait(&mut changed, deadline).await;
            }
        }
        let answer = self
            .0
            .with(|core, now| core.lookup(&sel, r.known.as_ref(), now));
        Ok(Response::new(answer?))
    }

    async fn list_services(
        &self,
        r: Request<v1::ListServicesRequest>,
    ) -> Answer<v1::ListServicesResponse> {
        speaks_protocol(&r)?;
        let answer = self.0.with(|core, _| core.list_services(r.get_ref()));
        Ok(Response::new(answer?))
    }

    type WatchStream = Frames<v1::WatchResponse>;

    async fn watch(&self, r: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        speaks_protocol(&r)?;
        let caller = Caller::of(&r);
        let (id, over) = self.0.with(|core, _| core.open(r.into_inner(), caller))?;
        let feed = Feed {
            shared: self.0.clone(),
            id,
            over,
            queue: VecDeque::new(),
        };
        let frames = stream::unfold(Some(feed), |feed| async move {
            let mut feed = feed?;
            Some(match feed.next().await {
                Some(frame) => (Ok(frame), Some(feed)),
                None => (Err(shutting_down().into()), None),
            })
        });
        Ok(Response::new(Box::pin(frames)))
    }

    async fn update_watch(
        &self,
        r: Request<v1::UpdateWatchRequest>,
    ) -> Answer<v1::UpdateWatchResponse> {
        speaks_protocol(&r)?;
        self.0.with(|core, _| core.update_watch(r.into_inner()))?;
        Ok(Response::new(v1::UpdateWatchResponse {}))
    }

    async fn ack_watch(&self, r: Request<v1::AckWatchRequest>) -> Answer<v1::AckWatchResponse> {
        speaks_protocol(&r)?;
        let known = self.0.with(|core, _| {
            core.acknowledge(r.get_ref());
            core.streams.contains_key(&r.get_ref().stream_id)
        });
        if !known {
            return Err(stream_unknown().into());
        }
        Ok(Response::new(v1::AckWatchResponse {}))
    }

    async fn report_outcomes(
        &self,
        _: Request<v1::ReportOutcomesRequest>,
    ) -> Answer<v1::ReportOutcomesResponse> {
        Err(Fault::not_served("report_outcomes").into())
    }
}

fn shutting_down() -> Fault {
    Fault::new(
        ErrorReason::ShuttingDown,
        "this server is stopping; go elsewhere",
    )
}

/// What feeds one watch stream, for as long as the client reads it.
struct Feed {
    shared: Arc<Shared>,
    id: String,
    over: CancellationToken,
    queue: VecDeque<v1::WatchResponse>,
}

impl Feed {
    /// The next frame; none once the registry has ended the stream.
    async fn next(&mut self) -> Option<v1::WatchResponse> {
        loop {
            if let Some(frame) = self.queue.pop_front() {
                return Some(frame);
            }
            let mut changed = self.shared.changed();
            let id = &self.id;
            let (frames, due) = self.shared.with(|core, now| {
                // Whatever was made before has been taken.
                core.sent(id);
                core.next(id, now)
            });
            self.queue.extend(frames);
            if self.queue.is_empty() {
                tokio::select! {
                    () = self.over.cancelled() => return None,
                    () = wait(&mut changed, due) => {}
                }
            }
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let id = &self.id;
        self.shared.with(|core, now| {
            if let Some(stream) = core.streams.remove(id) {
                core.ended(stream, now);
            }
        });
    }
}

#[tonic::async_trait]
impl ServerService for Services {
    async fn get_server_info(
        &self,
        _: Request<v1::GetServerInfoRequest>,
    ) -> Answer<v1::GetServerInfoResponse> {
        let stage = |served: bool| {
            if served {
                v1::FeatureStage::Stable
            } else {
                v1::FeatureStage::NotServed
            }
        };
        let features = FEATURES.iter().map(|(name, served)| v1::Feature {
            name: (*name).to_owned(),
            stage: stage(*served) as i32,
            note: String::new(),
        });
        let info = self.0.with(|core, now| v1::GetServerInfoResponse {
            server_version: format!("{VERSION}-testing"),
            server_id: core.server_id.clone(),
            cluster_id: CLUSTER_ID.into(),
            position: Some(v1::Position {
                epoch: core.state.epoch,
                revision: core.state.revision,
            }),
            oldest_protocol: PROTOCOL,
            newest_protocol: PROTOCOL,
            features: features.collect(),
            limits: Some(check::limits()),
            uptime: Some(duration_to_wire(now - core.began)),
        });
        Ok(Response::new(info))
    }
}
