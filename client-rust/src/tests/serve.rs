//! The whole life of a server in one call.

use std::io;
use std::time::Duration;

use futures_util::stream;
use muster_proto::v1;
use muster_proto::v1::server_service_server::ServerServiceServer;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::transport::Server;
use tonic::transport::server::Router;

use super::fake::{Fake, Scripted, What};
use super::fake_services::FakeServer;
use super::registration::{spec, updates};
use crate::tonic_0_14::serve;
use crate::{Lifecycle, RegistrationState as State};

/// A server of some service.
fn router(fake: &Fake) -> Router {
    let service = FakeServer {
        shared: fake.shared.clone(),
        index: 0,
    };
    Server::builder().add_service(ServerServiceServer::new(service))
}

/// What a call did, if it was one of a registration's life.
fn step(what: &What) -> Option<&'static str> {
    match what {
        What::Register(_) => Some("register"),
        What::Update(_) => Some("update"),
        What::Drain(_) => Some("drain"),
        What::Deregister(_) => Some("deregister"),
        _ => None,
    }
}

fn incoming() -> stream::Pending<io::Result<DuplexStream>> {
    stream::pending()
}

#[tokio::test(start_paused = true)]
async fn serve_runs_the_whole_life() {
    let fake = Fake::new(1);
    fake.lock().drain = v1::DrainResponse {
        result: v1::DrainResult::Complete as i32,
        safe_after: Some(prost_types::Duration {
            seconds: 2,
            nanos: 0,
        }),
        ..Default::default()
    };
    let client = fake.client();
    let starting = spec("pay-1").lifecycle(Lifecycle::Starting);
    let reg = client.register([starting]).await.expect("registered");
    let (shutdown, asked) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(router(&fake), incoming(), reg.clone(), async {
        asked.await.expect("asked");
    }));
    let update = fake.next_call(updates).await;
    let instance = update.instance.expect("an instance");
    assert_eq!(instance.lifecycle, v1::Lifecycle::Serving as i32);
    shutdown.send(()).expect("it listens");
    let began = Instant::now();
    serving.await.expect("joined").expect("an orderly end");
    assert_eq!(
        began.elapsed().as_secs(),
        2,
        "until answers from before are void"
    );
    assert_eq!(
        fake.calls(step),
        ["register", "update", "drain", "deregister"]
    );
    assert_eq!(reg.status().state, State::Deregistered);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn serve_keeps_to_the_grace_period() {
    // Retries that would come too late are not waited for.
    for (period, most) in [
        (6, 2), // one for watchers, one for deregistering
        (30, 10),
        (3_600, 10),
    ] {
        let fake = Fake::new(1);
        let period = Duration::from_secs(period);
        let client = fake.builder().grace_period(period).build();
        let client = client.expect("a client");
        let reg = client.register([spec("pay-1")]).await.expect("registered");
        fake.place(0).stop();
        let began = Instant::now();
        let e = serve(router(&fake), incoming(), reg, async {})
            .await
            .expect_err("it stays until its TTL");
        assert!(e.is_retryable(), "{e}");
        let (took, most) = (began.elapsed(), Duration::from_secs(most));
        assert!(
            took <= most && took >= most * 2 / 3,
            "of {period:?}: {took:?}"
        );
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn serve_deregisters_when_the_server_stops() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    fake.script("deregister", Scripted::Delay(Duration::from_secs(1)));
    // The listener ends at once: so does the server.
    let none = stream::iter(Vec::<io::Result<DuplexStream>>::new());
    let ended = serve(router(&fake), none, reg.clone(), std::future::pending()).await;
    ended.expect("it stopped without an error");
    assert_eq!(reg.status().state, State::Deregistered);
    client.close().await;
}
