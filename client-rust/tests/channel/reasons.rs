//! Why calls fail that find no endpoint, and how long they wait first.

use std::time::Duration;

use muster_client::Reason;
use muster_client::tonic_0_14::{
    Absence, Channel, ChannelOptions, Endpoint, EndpointSet, WaitForReady,
};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Code, Request, Status};

use super::client::{Client, Source, applied};
use super::memory::{Does, Host, Net, Peer};

async fn failure(channel: &Channel) -> (Status, Duration) {
    let began = Instant::now();
    let status = Client::new(channel)
        .unary("/t/echo", "x")
        .await
        .unwrap_err();
    (status, began.elapsed())
}

fn has_reason(status: &Status, reason: &str) -> bool {
    let details = status.details();
    status.message().ends_with(&format!("[{reason}]"))
        && details
            .windows(reason.len())
            .any(|part| part == reason.as_bytes())
}

#[tokio::test(start_paused = true)]
async fn no_view_within_five_seconds() {
    let net = Net::default();
    let source = Source::unknown();
    let channel = source.channel(net.options());
    let (status, waited) = failure(&channel).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(has_reason(&status, "NO_VIEW"), "{status}");
    assert_eq!(waited.as_secs(), 5);
    // Later calls do not wait again.
    let (status, waited) = failure(&channel).await;
    assert!(
        has_reason(&status, "NO_VIEW") && waited.is_zero(),
        "{status} after {waited:?}"
    );
    // Nor does a late view come too late.
    net.peer("a:1", Peer::new("a", Does::Echoes));
    let generation = source.weigh(&[("a:1", 1)]);
    applied(&channel, generation).await;
    assert_eq!(
        Client::new(&channel).unary("/t/echo", "x").await.unwrap(),
        "xa"
    );
}

#[tokio::test(start_paused = true)]
async fn a_view_that_comes_while_a_call_waits() {
    let net = Net::default();
    net.peer("a:1", Peer::new("a", Does::Echoes));
    let source = Source::unknown();
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    let call = tokio::spawn(async move { client.unary("/t/echo", "x").await });
    tokio::time::sleep(Duration::from_secs(4)).await;
    source.weigh(&[("a:1", 1)]);
    assert_eq!(call.await.unwrap().unwrap(), "xa");
}

#[tokio::test(start_paused = true)]
async fn no_instances_fails_at_once() {
    let source = Source::of(&[]);
    let channel = source.channel(Net::default().options());
    let (status, waited) = failure(&channel).await;
    assert!(
        has_reason(&status, "NO_INSTANCES") && waited.is_zero(),
        "{status}"
    );
    assert!(
        status.message().starts_with("shop/pay has no instances"),
        "{status}"
    );

    source.send(EndpointSet {
        generation: 9,
        absence: Some(Absence {
            reason: Reason::ServiceUnknown,
            text: "service \"shop/pay\" has never been registered".to_owned(),
        }),
        ..EndpointSet::default()
    });
    applied(&channel, 9).await;
    let (status, _) = failure(&channel).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(has_reason(&status, "SERVICE_UNKNOWN"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn nothing_ready_tells_which_and_why() {
    let net = Net::default();
    net.set("a:1", Host::Refuses);
    net.set("b:1", Host::Refuses);
    let source = Source::of(&["a:1", "b:1"]);
    let channel = source.channel(net.options());
    let (status, waited) = failure(&channel).await;
    assert!(
        has_reason(&status, "NO_READY_ENDPOINT") && waited.is_zero(),
        "{status} {waited:?}"
    );
    // One of the two is ejected then, and what is told of is the other.
    let told = |address| {
        format!(
            "none of 2 endpoints of shop/pay can be reached: {address}: connection refused; still \
             retrying [NO_READY_ENDPOINT]"
        )
    };
    let texts = [told("a:1"), told("b:1")];
    assert!(
        texts.iter().any(|text| status.message() == text),
        "{status}"
    );
}

#[tokio::test(start_paused = true)]
async fn all_with_weight_zero() {
    let source = Source::unknown();
    let generation = source.show(vec![Endpoint::plaintext("a:1", 0)]);
    let net = Net::default();
    let channel = source.channel(net.options());
    applied(&channel, generation).await;
    let (status, _) = failure(&channel).await;
    assert!(status.message().contains("weight 0"), "{status}");
    assert!(net.attempts("a:1").is_empty(), "dialled for no traffic");
}

#[test]
fn outside_of_a_runtime() {
    let (_sender, source) = watch::channel(EndpointSet::unknown().into());
    let error = Channel::from_source("shop/pay", source, ChannelOptions::default()).unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidArgument);
    assert!(error.to_string().contains("no tokio runtime"), "{error}");
}

#[tokio::test]
async fn a_target_that_is_no_authority() {
    let (_sender, source) = watch::channel(EndpointSet::unknown().into());
    let error = Channel::from_source("shop/p y", source.clone(), ChannelOptions::default());
    let error = error.unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidArgument);
    assert!(error.to_string().contains("\"p y.shop\""), "{error}");
    let options = ChannelOptions {
        authority: Some("pay".to_owned()),
        ..ChannelOptions::default()
    };
    Channel::from_source("shop/p y", source, options).unwrap();
}

#[tokio::test(start_paused = true)]
async fn waits_may_be_without_end() {
    let net = Net::default();
    net.set("a:1", Host::Swallows);
    let source = Source::unknown();
    let channel = source.channel(ChannelOptions {
        connect_timeout: Duration::MAX,
        first_view_wait: Duration::MAX,
        ..net.options()
    });
    let mut client = Client::new(&channel);
    let mut patient = Request::new("x".into());
    let wait = WaitForReady::up_to(Duration::MAX);
    patient.extensions_mut().insert(wait);
    let call = tokio::spawn(async move { client.send("/t/echo", patient).await });
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    source.weigh(&[("a:1", 1)]);
    net.attempted("a:1", 1).await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    net.peer("b:1", Peer::new("b", Does::Echoes));
    source.weigh(&[("b:1", 1)]);
    assert_eq!(call.await.unwrap().unwrap().into_inner(), "xb");
}
