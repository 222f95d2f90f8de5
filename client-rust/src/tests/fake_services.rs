//! The services of the fake registry.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;
use muster_proto::v1;
use muster_proto::v1::discovery_service_server::DiscoveryService;
use muster_proto::v1::registration_service_server::RegistrationService;
use muster_proto::v1::server_service_server::ServerService;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::fake::{Granted, InFlight, OpenWatch, Scripted, Shared, State, What};
use crate::instance::duration_to_wire;
use crate::status::status_of;

#[derive(Clone)]
pub(crate) struct FakeServer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: usize,
}

type Answer<T> = Result<Response<T>, Status>;
type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl FakeServer {
    /// Records a call, and does what was scripted for it or else what is usual.
    async fn answer<T>(
        &self,
        method: &'static str,
        what: What,
        usual: impl FnOnce(&mut State) -> Result<T, Status>,
    ) -> Answer<T> {
        let scripted = {
            let mut state = self.shared.lock();
            state.scripts.get_mut(method).and_then(VecDeque::pop_front)
        };
        self.shared.record(self.index, what);
        match scripted {
            Some(Scripted::Fail(status)) => return Err(status),
            Some(Scripted::DoThenFail(status)) => {
                usual(&mut self.shared.lock())?;
                return Err(status);
            }
            Some(Scripted::Hang) => std::future::pending().await,
            Some(Scripted::Delay(wait)) => tokio::time::sleep(wait).await,
            None => {}
        }
        let result = usual(&mut self.shared.lock());
        self.shared.called.notify_waiters();
        result.map(Response::new)
    }
}

fn holder<'a>(state: &'a State, i: &v1::Instance) -> Option<&'a Granted> {
    state.leases.values().find(|g| {
        g.instances
            .iter()
            .any(|o| (&o.service, &o.instance_id) == (&i.service, &i.instance_id))
    })
}

/// Decides a registration by the contract's rules.
fn register(state: &mut State, r: v1::RegisterRequest) -> Result<v1::RegisterResponse, Status> {
    use v1::register_request::Claim;
    for i in &r.instances {
        let Some(present) = holder(state, i).cloned() else {
            continue;
        };
        if present.request_id == r.request_id {
            return Ok(response(state, present.lease));
        }
        let replaced = match &r.claim {
            Some(Claim::Previous(p)) => {
                p.lease_id == present.lease.lease_id
                    || (p.epoch, p.incarnation) > (present.lease.epoch, present.lease.incarnation)
            }
            Some(Claim::TakeOver(t)) => t.incarnations.contains(&present.lease.incarnation),
            None => false,
        };
        let incarnation = present.lease.incarnation.to_string();
        if replaced {
            state.leases.remove(&present.lease.lease_id);
        } else if matches!(r.claim, Some(Claim::Previous(_))) {
            let metadata = [("incarnation", incarnation.as_str())];
            let code = Code::FailedPrecondition;
            return Err(status_of(code, "FENCED", &metadata, None));
        } else {
            let metadata = [("incarnations", incarnation.as_str())];
            let code = Code::AlreadyExists;
            return Err(status_of(code, "INSTANCE_EXISTS", &metadata, None));
        }
    }
    state.revision += 1;
    state.weight = r.instances.first().and_then(|i| i.weight);
    let lease = v1::Lease {
        lease_id: format!("{:04}-secret", state.revision),
        incarnation: state.revision,
        epoch: state.epoch,
        ttl: r.ttl,
    };
    state.leases.insert(
        lease.lease_id.clone(),
        Granted {
            lease: lease.clone(),
            request_id: r.request_id,
            instances: r.instances,
        },
    );
    Ok(response(state, lease))
}

fn response(state: &State, lease: v1::Lease) -> v1::RegisterResponse {
    v1::RegisterResponse {
        lease: Some(lease),
        cluster_id: "c1".into(),
        epoch: state.epoch,
        revision: state.revision,
    }
}

fn known(state: &mut State, lease_id: &str) -> Result<(), Status> {
    if state.fenced.iter().any(|f| f == lease_id) {
        let metadata = [("incarnation", "99")];
        return Err(status_of(
            Code::FailedPrecondition,
            "FENCED",
            &metadata,
            None,
        ));
    }
    if !state.leases.contains_key(lease_id) {
        return Err(status_of(Code::NotFound, "LEASE_UNKNOWN", &[], None));
    }
    state.revision += 1;
    Ok(())
}

fn keep_alive(state: &State, server: usize, r: &v1::KeepAliveRequest) -> v1::KeepAliveResponse {
    use v1::keep_alive_exception::Kind;
    let lost = |reason: v1::ErrorReason| {
        Kind::Lost(v1::LeaseLost {
            reason: reason as i32,
            message: "it is gone".into(),
        })
    };
    let kind = |id: &String| {
        if state.fenced.contains(id) {
            Some(lost(v1::ErrorReason::Fenced))
        } else if !state.leases.contains_key(id) {
            Some(lost(v1::ErrorReason::LeaseUnknown))
        } else {
            state.unconfirmed.get(&server).map(|retry| {
                Kind::Unconfirmed(v1::LeaseUnconfirmed {
                    reason: v1::UnconfirmedReason::ViewOld as i32,
                    retry_after: Some(duration_to_wire(*retry)),
                })
            })
        }
    };
    let exceptions = r.lease_ids.iter().enumerate().filter_map(|(index, id)| {
        Some(v1::KeepAliveException {
            lease_index: u32::try_from(index).expect("few leases"),
            kind: Some(kind(id)?),
        })
    });
    v1::KeepAliveResponse {
        sequence: r.sequence,
        exceptions: exceptions.collect(),
    }
}

#[tonic::async_trait]
impl RegistrationService for FakeServer {
    async fn register(&self, r: Request<v1::RegisterRequest>) -> Answer<v1::RegisterResponse> {
        let metadata = r.metadata().clone().into_headers();
        self.shared.lock().metadata = metadata
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_str().unwrap_or("").to_owned()))
            .collect();
        let r = r.into_inner();
        let what = What::Register(r.clone());
        let _in_flight = InFlight::begin(&self.shared);
        self.answer("register", what, |s| register(s, r)).await
    }

    async fn update(&self, r: Request<v1::UpdateRequest>) -> Answer<v1::UpdateResponse> {
        let r = r.into_inner();
        self.answer("update", What::Update(r.clone()), |s| {
            known(s, &r.lease_id)?;
            let weight = r.instance.and_then(|i| i.weight);
            s.weight = weight.or(s.weight);
            Ok(v1::UpdateResponse {
                epoch: s.epoch,
                revision: s.revision,
            })
        })
        .await
    }

    async fn deregister(
        &self,
        r: Request<v1::DeregisterRequest>,
    ) -> Answer<v1::DeregisterResponse> {
        let r = r.into_inner();
        self.answer("deregister", What::Deregister(r.clone()), |s| {
            known(s, &r.lease_id)?;
            s.leases.remove(&r.lease_id);
            Ok(v1::DeregisterResponse {
                epoch: s.epoch,
                revision: s.revision,
            })
        })
        .await
    }

    async fn drain(&self, r: Request<v1::DrainRequest>) -> Answer<v1::DrainResponse> {
        let r = r.into_inner();
        self.answer("drain", What::Drain(r.clone()), |s| {
            known(s, &r.lease_id)?;
            Ok(v1::DrainResponse {
                epoch: s.epoch,
                revision: s.revision,
                ..s.drain.clone()
            })
        })
        .await
    }

    type KeepAliveStream = Frames<v1::KeepAliveResponse>;

    async fn keep_alive(
        &self,
        r: Request<Streaming<v1::KeepAliveRequest>>,
    ) -> Answer<Self::KeepAliveStream> {
        let opened = self.answer("keepalive", What::KeepAliveOpened, |_| Ok(()));
        opened.await?;
        let mut requests = r.into_inner();
        let (answers, stream) = mpsc::channel(16);
        let (shared, index) = (self.shared.clone(), self.index);
        tokio::spawn(async move {
            loop {
                let request = match requests.next().await {
                    Some(Ok(request)) => request,
                    Some(Err(_)) => return shared.record(index, What::KeepAliveBroken),
                    None => return shared.record(index, What::KeepAliveHalfClosed),
                };
                let (answer, mute) = {
                    let state = shared.lock();
                    let answer = keep_alive(&state, index, &request);
                    (answer, state.mute.contains(&index))
                };
                shared.record(index, What::KeepAlive(request));
                if !mute && answers.send(Ok(answer)).await.is_err() {
                    return shared.record(index, What::KeepAliveBroken);
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

#[tonic::async_trait]
impl DiscoveryService for FakeServer {
    async fn lookup(&self, r: Request<v1::LookupRequest>) -> Answer<v1::LookupResponse> {
        let what = What::Lookup(r.into_inner());
        self.answer("lookup", what, |s| Ok(s.lookup.clone())).await
    }

    async fn list_services(
        &self,
        r: Request<v1::ListServicesRequest>,
    ) -> Answer<v1::ListServicesResponse> {
        let what = What::ListServices(r.into_inner());
        self.answer("list_services", what, |s| {
            Ok(v1::ListServicesResponse {
                services: s.services.clone(),
                ..Default::default()
            })
        })
        .await
    }

    type WatchStream = Frames<v1::WatchResponse>;

    async fn watch(&self, r: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        let request = r.into_inner();
        let what = What::Watch(request.clone());
        self.answer("watch", what, |_| Ok(())).await?;
        let (frames, stream) = mpsc::channel(16);
        let opened = OpenWatch {
            server: self.index,
            request,
            frames,
        };
        let told = self.shared.streams.send(opened).await;
        told.map_err(|_| Status::internal("the test is over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn update_watch(
        &self,
        r: Request<v1::UpdateWatchRequest>,
    ) -> Answer<v1::UpdateWatchResponse> {
        let what = What::UpdateWatch(r.into_inner());
        let usual = |_: &mut State| Ok(v1::UpdateWatchResponse {});
        self.answer("update_watch", what, usual).await
    }

    async fn ack_watch(&self, r: Request<v1::AckWatchRequest>) -> Answer<v1::AckWatchResponse> {
        let what = What::AckWatch(r.into_inner());
        let usual = |_: &mut State| Ok(v1::AckWatchResponse {});
        self.answer("ack_watch", what, usual).await
    }

    async fn report_outcomes(
        &self,
        _: Request<v1::ReportOutcomesRequest>,
    ) -> Answer<v1::ReportOutcomesResponse> {
        Err(Status::unimplemented("not in the fake"))
    }
}

#[tonic::async_trait]
impl ServerService for FakeServer {
    async fn get_server_info(
        &self,
        _: Request<v1::GetServerInfoRequest>,
    ) -> Answer<v1::GetServerInfoResponse> {
        let state = self.shared.lock();
        let cluster = state.cluster_ids.get(&self.index);
        Ok(Response::new(v1::GetServerInfoResponse {
            cluster_id: cluster.map_or("c1", String::as_str).to_owned(),
            oldest_protocol: state.protocols.0,
            newest_protocol: state.protocols.1,
            limits: state.limits,
            ..Default::default()
        }))
    }
}
