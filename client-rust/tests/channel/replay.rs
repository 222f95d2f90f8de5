//! Requests that were not processed go elsewhere, once.

use tonic::{Code, Request};

use super::client::{Client, Source, idle, in_use, messages, soon};
use super::memory::{Does, Net, Peer};

#[tokio::test(start_paused = true)]
async fn a_refused_request_goes_to_another_endpoint() {
    let net = Net::default();
    let refuser = net.peer("a:1", Peer::new("a", Does::Refuses));
    let other = net.peer("b:1", Peer::new("b", Does::Echoes));
    let source = Source::of(&["a:1", "b:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 2).await;
    // However heavy the refuser is: it is not chosen twice for one request.
    source.weigh(&[("a:1", 1_000_000), ("b:1", 1)]);
    let mut client = Client::new(&channel);
    for _ in 0..20 {
        assert_eq!(client.unary("/t/echo", "x").await.unwrap(), "xb");
    }
    // Five refusals in a row, and it is left out.
    let refused = refuser.requests().len();
    assert!((5..=6).contains(&refused), "{refused}");
    assert_eq!(other.requests().len(), 20);
    idle(&channel).await;
}

#[tokio::test(start_paused = true)]
async fn two_refusals_are_enough() {
    let net = Net::default();
    let one = net.peer("a:1", Peer::new("a", Does::Refuses));
    let two = net.peer("b:1", Peer::new("b", Does::Refuses));
    let source = Source::of(&["a:1", "b:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 2).await;
    let status = Client::new(&channel)
        .unary("/t/echo", "x")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!((one.requests().len(), two.requests().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_only_endpoint_is_not_asked_twice() {
    let net = Net::default();
    let refuser = net.peer("a:1", Peer::new("a", Does::Refuses));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let status = Client::new(&channel)
        .unary("/t/echo", "x")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        status
            .message()
            .contains("a:1 refused a request to shop/pay"),
        "{status}"
    );
    assert_eq!(refuser.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_begun_is_not_sent_again() {
    let net = Net::default();
    net.peer("a:1", Peer::new("a", Does::Refuses));
    net.peer("b:1", Peer::new("b", Does::Refuses));
    let source = Source::of(&["a:1", "b:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 2).await;
    let (sender, all) = messages();
    let status = Client::new(&channel)
        .streaming("/t/chat", all)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("stream to"), "{status}");
    soon(sender.closed()).await;
}

#[tokio::test(start_paused = true)]
async fn processed_requests_are_never_sent_again() {
    let net = Net::default();
    let one = net.peer("a:1", Peer::new("a", Does::Hangs));
    let two = net.peer("b:1", Peer::new("b", Does::Hangs));
    let source = Source::of(&["a:1", "b:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 2).await;
    let mut client = Client::new(&channel);
    let call = tokio::spawn(async move { client.unary("/t/echo", "x").await });
    soon(async {
        while one.requests().len() + two.requests().len() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    one.kill();
    two.kill();
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        status.message().contains("lost: closed by the peer"),
        "{status}"
    );
    assert_eq!(one.requests().len() + two.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_never_left_this_process_goes_elsewhere() {
    let net = Net::default();
    // The pipe takes the start of the first message only; all after it waits in h2.
    let stuck = net.peer("a:1", Peer::new("a", Does::Hangs).pipe(2048));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    stuck.freeze();
    settled().await;
    let mut client = Client::new(&channel);
    let big = tokio::spawn(async move { client.unary("/t/echo", vec![1u8; 60_000]).await });
    settled().await;
    let late: Vec<_> = (0..5)
        .map(|_| {
            let mut client = Client::new(&channel);
            tokio::spawn(async move { client.unary("/t/echo", "late").await })
        })
        .collect();
    settled().await;
    assert_eq!(channel.endpoints()[0].in_flight, 6);
    net.peer("b:1", Peer::new("b", Does::Echoes));
    source.weigh(&[("a:1", 1), ("b:1", 1)]);
    in_use(&channel, 2).await;
    stuck.kill();
    assert_eq!(big.await.unwrap().unwrap_err().code(), Code::Unavailable);
    for call in late {
        assert_eq!(call.await.unwrap().unwrap(), "lateb");
    }
}

/// Paused time moves only when nothing else can.
async fn settled() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn details_that_are_not_base64_cost_nothing_but_themselves() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::EndsBadly));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    let status = client.unary("/t/echo", "x").await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "sorry"));
    let mut stream = client
        .server_streaming("/t/repeat", Request::new("x".into()))
        .await
        .unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "one");
    assert_eq!(stream.message().await.unwrap_err().code(), Code::NotFound);
    peer.now_does(Does::EndsBadlyAtOnce);
    let status = client.unary("/t/echo", "x").await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "sorry"));
}
