//! The four kinds of calls, against tonic's server.

use bytes::Bytes;
use muster_client::tonic_0_14::ChannelOptions;
use muster_proto::v1::discovery_service_client::DiscoveryServiceClient;
use muster_proto::v1::{LookupRequest, WatchRequest};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};

use super::client::{Client, Source, idle, messages, soon};
use super::loopback::Server;

#[tokio::test]
async fn all_kinds_of_calls() {
    let server = Server::start();
    let source = Source::of(&[&server.address()]);
    let channel = source.channel(ChannelOptions::default());
    let mut client = Client::new(&channel);

    assert_eq!(client.unary("/t/echo", "hello").await.unwrap(), "hello");
    assert_eq!(client.unary("/t/echo", "").await.unwrap(), "");

    let mut stream = client
        .server_streaming("/t/repeat", Request::new("five!".into()))
        .await
        .unwrap();
    let mut count = 0;
    while let Some(message) = stream.message().await.unwrap() {
        assert_eq!(message, "five!");
        count += 1;
    }
    assert_eq!(count, 5);

    let (sender, all) = messages();
    let mut other = client.clone();
    let total = tokio::spawn(async move { other.client_streaming("/t/total", all).await });
    for size in [0, 1, 100_000] {
        sender.send(vec![7; size].into()).await.unwrap();
    }
    drop(sender);
    assert_eq!(total.await.unwrap().unwrap(), "100001");

    let (sender, all) = messages();
    let mut chat = client.streaming("/t/chat", all).await.unwrap();
    for text in ["one", "two", "three"] {
        sender.send(text.into()).await.unwrap();
        assert_eq!(chat.message().await.unwrap().unwrap(), text);
    }
    drop(sender);
    assert!(chat.message().await.unwrap().is_none());
    idle(&channel).await;
}

#[tokio::test]
async fn a_generated_client_takes_the_channel() {
    let server = Server::start();
    let source = Source::of(&[&server.address()]);
    let channel = source.channel(ChannelOptions::default());
    let mut client = DiscoveryServiceClient::new(channel.clone());
    // The server knows no such service; the client's types are what is tried here.
    let status = client.lookup(LookupRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let status = client.watch(WatchRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    idle(&channel).await;
}

#[tokio::test]
async fn large_messages_both_ways() {
    let server = Server::start();
    let source = Source::of(&[&server.address()]);
    let channel = source.channel(ChannelOptions::default());
    let mut client = Client::new(&channel);
    let message: Bytes = (0..3_000_000u32).map(|i| i.to_le_bytes()[0]).collect();
    assert_eq!(
        client.unary("/t/echo", message.clone()).await.unwrap(),
        message
    );

    let (sender, all) = messages();
    let mut chat = client.streaming("/t/chat", all).await.unwrap();
    for _ in 0..3 {
        sender.send(message.clone()).await.unwrap();
        assert_eq!(chat.message().await.unwrap().unwrap(), message);
    }
    // More than all windows hold, and nobody reads the answers.
    let stalled = tokio::spawn(async move { while sender.send(message.clone()).await.is_ok() {} });
    drop(chat);
    // Dropping the answers resets the stream, so the request ends too.
    soon(stalled).await.unwrap();
    idle(&channel).await;
}

#[tokio::test]
async fn metadata_and_details_arrive_whole() {
    let server = Server::start();
    let source = Source::of(&[&server.address()]);
    let channel = source.channel(ChannelOptions::default());
    let mut client = Client::new(&channel);

    let mut request = Request::new(Bytes::new());
    let text = MetadataValue::from_bytes("größe".as_bytes());
    request.metadata_mut().insert_bin("text-bin", text.clone());
    let response = client.send("/t/echo", request).await.unwrap();
    assert_eq!(response.metadata().get_bin("text-bin"), Some(&text));

    let status = client
        .unary("/t/fail", &b"\x00details\xff"[..])
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.message(), "no “Käse” at 100 %");
    assert_eq!(status.details(), b"\x00details\xff");
    assert_eq!(status.metadata().get_bin("text-bin"), Some(&text));

    let status = client.unary("/t/nothing", "").await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    idle(&channel).await;
}

#[tokio::test]
async fn a_request_that_cannot_be_encoded_fails_as_its_encoder_says() {
    let server = Server::start();
    let source = Source::of(&[&server.address()]);
    let channel = source.channel(ChannelOptions::default());
    let mut client = Client::new(&channel);
    let status = client.unary("/t/echo", "unencodable").await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(
        status.message().contains("this message cannot be encoded"),
        "{status}"
    );

    let (sender, all) = messages();
    let mut chat = client.streaming("/t/chat", all).await.unwrap();
    sender.send("fine".into()).await.unwrap();
    assert_eq!(chat.message().await.unwrap().unwrap(), "fine");
    sender.send("unencodable".into()).await.unwrap();
    let status = chat.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(
        status.message().contains("this message cannot be encoded"),
        "{status}"
    );
    idle(&channel).await;
}

#[tokio::test]
async fn calls_abandoned_in_any_state_leave_nothing_behind() {
    let server = Server::start();
    let source = Source::of(&[&server.address()]);
    let channel = source.channel(ChannelOptions::default());
    let mut client = Client::new(&channel);
    // A call that never answers, dropped while it waits.
    let mut other = client.clone();
    let call = tokio::spawn(async move { other.unary("/t/hang", "x").await });
    soon(async {
        while server.served() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    call.abort();
    // A stream dropped in the middle.
    let mut stream = client
        .server_streaming("/t/repeat", Request::new(vec![1; 1000].into()))
        .await
        .unwrap();
    assert!(stream.message().await.unwrap().is_some());
    drop(stream);
    // A stream whose requests go on, dropped before an answer.
    let (sender, all) = messages();
    let chat = client.streaming("/t/chat", all).await.unwrap();
    drop(chat);
    soon(sender.closed()).await;
    idle(&channel).await;
    assert_eq!(
        client.unary("/t/echo", "still fine").await.unwrap(),
        "still fine"
    );
}
