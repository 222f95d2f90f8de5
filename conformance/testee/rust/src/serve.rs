//! Command `serve`: a server's life from listening to drained.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use muster_client::{Lifecycle, advertise_from, tonic_0_14};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::command::{Answer, Command, Failure, duration};
use crate::register::Said;
use crate::testee::Testee;

/// Answers every call with a name.
#[derive(Clone)]
struct Echo(Arc<str>);

impl NamedService for Echo {
    const NAME: &'static str = "conformance.Echo";
}

impl UnaryService<String> for Echo {
    type Response = String;
    type Future = BoxFuture<Response<String>, Status>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let name = self.0.to_string();
        Box::pin(async move {
            // What is asked is after how long to answer.
            if let Ok(delay) = duration(request.get_ref()) {
                tokio::time::sleep(delay).await;
            }
            Ok(Response::new(name))
        })
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
            Ok(grpc.unary(this, request).await)
        })
    }
}

impl Testee {
    /// `serve NAME KEY`, with the options of `register`. It answers calls with its id.
    pub(crate) async fn serve(&self, c: &Command) -> Answer {
        let client = self.client(c)?;
        let key = c.arg(1, "KEY")?;
        let listening = async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let local = listener.local_addr()?;
            Ok::<_, std::io::Error>((listener, local))
        };
        let (listener, local) = listening.await.map_err(|e| e.to_string())?;
        let spec = Said::read(c)?
            .spec(key, Some(&advertise_from(local)?))
            .lifecycle(Lifecycle::Starting); // serve says SERVING once it listens
        let registration = client.register([spec]).await?;
        let name = key.rsplit('/').next().unwrap_or_default();
        let router = tonic::transport::Server::builder().add_service(Echo(name.into()));
        let (end, ended) = oneshot::channel();
        let stop = self.keep(c.name(), registration.clone(), Some(ended));
        self.tasks.spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            let served =
                tonic_0_14::serve(router, incoming, registration, stop.cancelled_owned()).await;
            let _ = end.send(served.map_err(Failure::from));
        });
        Ok(Value::Null)
    }

    /// `stop NAME`: ends `serve`, which drains first.
    pub(crate) async fn stop(&self, c: &Command) -> Answer {
        let kept = self.kept(c)?;
        let Some(served) = kept.served.lock().await.take() else {
            return Err(c.missing("server"));
        };
        kept.stop.cancel();
        match served.await {
            Ok(result) => result?,
            Err(_) => return Err("stop: the server's task is gone".to_owned().into()),
        }
        Ok(Value::Null)
    }
}
