//! tonic servers on real sockets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::metadata::MetadataValue;
use tonic::server::{
    ClientStreamingService, Grpc, NamedService, ServerStreamingService, StreamingService,
    UnaryService,
};
use tonic::{Code, Request, Response, Status, Streaming};

use super::client::Raw;

/// A server in a runtime of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
    serving: Option<JoinHandle<()>>,
    leave: Arc<Notify>,
    served: Arc<AtomicUsize>,
}

impl Server {
    /// Starts on a free port.
    pub(crate) fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), None)
    }

    /// Starts with a limit of streams per connection.
    pub(crate) fn with_streams(max: u32) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), Some(max))
    }

    /// Starts at an address that was in use.
    pub(crate) fn start_at(address: SocketAddr, streams: Option<u32>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (bound, at) = mpsc::channel();
        let leave = Arc::new(Notify::new());
        let served = Arc::new(AtomicUsize::new(0));
        let service = TestService {
            served: Arc::clone(&served),
        };
        let leaving = Arc::clone(&leave);
        let serving = runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.unwrap();
            bound.send(listener.local_addr().unwrap()).unwrap();
            tonic::transport::Server::builder()
                .max_concurrent_streams(streams)
                .add_service(service)
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move {
                    leaving.notified().await;
                })
                .await
                .unwrap();
        });
        Self {
            address: at.recv().unwrap(),
            runtime: Some(runtime),
            serving: Some(serving),
            leave,
            served,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    /// Says GOAWAY, listens no more, and returns when what was open has been served.
    pub(crate) async fn leave(&mut self) -> SocketAddr {
        self.leave.notify_one();
        self.serving.take().unwrap().await.unwrap();
        self.address
    }

    /// Takes all away at once, listener and connections.
    pub(crate) fn kill(mut self) -> SocketAddr {
        self.runtime.take().unwrap().shutdown_background();
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Clone)]
struct TestService {
    served: Arc<AtomicUsize>,
}

impl NamedService for TestService {
    const NAME: &'static str = "t";
}

impl Service<http::Request<Body>> for TestService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.served.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw).apply_max_message_size_config(Some(64 << 20), None);
            Ok(match request.uri().path() {
                "/t/echo" => grpc.unary(Echo, request).await,
                "/t/fail" => grpc.unary(Fail, request).await,
                "/t/hang" => grpc.unary(Hang, request).await,
                "/t/repeat" => grpc.server_streaming(Repeat, request).await,
                "/t/total" => grpc.client_streaming(Total, request).await,
                "/t/chat" => grpc.streaming(Chat, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

type Messages = Pin<Box<dyn tokio_stream::Stream<Item = Result<Bytes, Status>> + Send>>;

/// Returns the message, and the metadata under "text-bin".
struct Echo;

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        Box::pin(async move {
            let text = request.metadata().get_bin("text-bin").cloned();
            let mut response = Response::new(request.into_inner());
            if let Some(text) = text {
                response.metadata_mut().insert_bin("text-bin", text);
            }
            Ok(response)
        })
    }
}

struct Fail;

impl UnaryService<Bytes> for Fail {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        Box::pin(async move {
            let mut status =
                Status::with_details(Code::NotFound, "no “Käse” at 100 %", request.into_inner());
            let text = MetadataValue::from_bytes("größe".as_bytes());
            status.metadata_mut().insert_bin("text-bin", text);
            Err(status)
        })
    }
}

struct Hang;

impl UnaryService<Bytes> for Hang {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, _request: Request<Bytes>) -> Self::Future {
        Box::pin(std::future::pending())
    }
}

/// Returns the message as often as it has bytes.
struct Repeat;

impl ServerStreamingService<Bytes> for Repeat {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = BoxFuture<Response<Messages>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let message = request.into_inner();
        let times = message.len();
        let all = tokio_stream::iter((0..times).map(move |_| Ok(message.clone())));
        Box::pin(async move { Ok(Response::new(Box::pin(all) as Messages)) })
    }
}

/// Returns the number of bytes in all messages.
struct Total;

impl ClientStreamingService<Bytes> for Total {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move {
            let mut messages = request.into_inner();
            let mut total = 0;
            while let Some(message) = messages.message().await? {
                total += message.len();
            }
            Ok(Response::new(total.to_string().into()))
        })
    }
}

/// Returns each message as it comes.
struct Chat;

impl StreamingService<Bytes> for Chat {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = BoxFuture<Response<Messages>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let messages = request.into_inner().map(|message| message);
        Box::pin(async move { Ok(Response::new(Box::pin(messages) as Messages)) })
    }
}
