//! A gRPC client for raw bytes, as a generated one would be, and what tests ask of a channel.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use muster_client::tonic_0_14::{Channel, ChannelOptions, Endpoint, EndpointSet};
use tokio::sync::watch;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Response, Status, Streaming};

/// Messages that are just bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        if &item[..] == b"unencodable" {
            return Err(Status::data_loss("this message cannot be encoded"));
        }
        buf.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let len = buf.remaining();
        Ok(Some(buf.copy_to_bytes(len)))
    }
}

/// What `tonic-build` generates, but for the names of the methods.
#[derive(Clone, Debug)]
pub(crate) struct Client(pub(crate) tonic::client::Grpc<Channel>);

pub(crate) type Messages = tokio_stream::wrappers::ReceiverStream<Bytes>;

impl Client {
    pub(crate) fn new(channel: &Channel) -> Self {
        let grpc = tonic::client::Grpc::new(channel.clone());
        Self(grpc.max_decoding_message_size(64 << 20))
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0
            .ready()
            .await
            .map_err(|status| Status::unknown(status.to_string()))
    }

    pub(crate) async fn send(
        &mut self,
        path: &'static str,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Status> {
        self.ready().await?;
        self.0
            .unary(request, PathAndQuery::from_static(path), Raw)
            .await
    }

    pub(crate) async fn unary(
        &mut self,
        path: &'static str,
        message: impl Into<Bytes>,
    ) -> Result<Bytes, Status> {
        let answer = self.send(path, Request::new(message.into())).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn server_streaming(
        &mut self,
        path: &'static str,
        request: Request<Bytes>,
    ) -> Result<Streaming<Bytes>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(path);
        let answer = self.0.server_streaming(request, path, Raw).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn client_streaming(
        &mut self,
        path: &'static str,
        messages: Messages,
    ) -> Result<Bytes, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(path);
        let answer = self
            .0
            .client_streaming(Request::new(messages), path, Raw)
            .await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn streaming(
        &mut self,
        path: &'static str,
        messages: Messages,
    ) -> Result<Streaming<Bytes>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static(path);
        let answer = self.0.streaming(Request::new(messages), path, Raw).await?;
        Ok(answer.into_inner())
    }
}

/// The source of a channel's endpoints, in the hands of a test.
pub(crate) struct Source {
    sets: watch::Sender<Arc<EndpointSet>>,
}

impl Source {
    pub(crate) fn unknown() -> Self {
        let sets = watch::Sender::new(Arc::new(EndpointSet::unknown()));
        Self { sets }
    }

    /// A source that begins with these addresses, each with weight 1.
    pub(crate) fn of(addresses: &[&str]) -> Self {
        let source = Self::unknown();
        source.weigh(
            &addresses
                .iter()
                .map(|&address| (address, 1))
                .collect::<Vec<_>>(),
        );
        source
    }

    /// Shows these addresses with their weights. Returns the generation.
    pub(crate) fn weigh(&self, weighted: &[(&str, u32)]) -> u64 {
        let endpoints = weighted
            .iter()
            .map(|&(address, weight)| Endpoint::plaintext(address, weight))
            .collect();
        self.show(endpoints)
    }

    pub(crate) fn show(&self, endpoints: Vec<Endpoint>) -> u64 {
        let generation = self.sets.borrow().generation + 1;
        self.sets
            .send_replace(Arc::new(EndpointSet::new(generation, endpoints)));
        generation
    }

    /// Waits until no channel looks at it any more.
    pub(crate) async fn unused(&self) {
        self.sets.closed().await;
    }

    pub(crate) fn send(&self, set: EndpointSet) {
        self.sets.send_replace(Arc::new(set));
    }

    pub(crate) fn channel(&self, options: ChannelOptions) -> Channel {
        Channel::from_source("shop/pay", self.sets.subscribe(), options).unwrap()
    }
}

/// Waits until this many endpoints are in use.
pub(crate) async fn in_use(channel: &Channel, count: usize) {
    let all = channel.until(|endpoints| endpoints.iter().filter(|e| e.in_use).count() == count);
    soon(all).await;
}

/// Waits until a set is in force.
pub(crate) async fn applied(channel: &Channel, generation: u64) {
    let mut applied = channel.applied();
    soon(applied.wait_for(|&now| now >= generation))
        .await
        .unwrap();
}

/// Waits until no request is in flight.
pub(crate) async fn idle(channel: &Channel) {
    soon(async {
        while channel
            .endpoints()
            .iter()
            .any(|endpoint| endpoint.in_flight > 0)
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// What must not take long, on whatever machine.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work)
        .await
        .expect("should have happened long ago")
}

/// A stream of messages that a test sends when it likes.
pub(crate) fn messages() -> (tokio::sync::mpsc::Sender<Bytes>, Messages) {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    (sender, Messages::new(receiver))
}

/// A request with a deadline.
pub(crate) fn within_ms(message: &'static str, ms: u64) -> Request<Bytes> {
    let mut request = Request::new(Bytes::from_static(message.as_bytes()));
    request.set_timeout(Duration::from_millis(ms));
    request
}
