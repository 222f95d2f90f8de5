//! One connection to one registry server.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use http_body::Frame;
use hyper_util::rt::TokioIo;
use muster_proto::v1;
use muster_proto::v1::discovery_service_client::DiscoveryServiceClient;
use muster_proto::v1::registration_service_client::RegistrationServiceClient;
use muster_proto::v1::server_service_client::ServerServiceClient;
use muster_rules::defaults;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Service};
use tonic::metadata::BinaryMetadataValue;
use tonic::transport::{Channel, Endpoint};

use crate::config::{self, Config, Transport};
use crate::observer::Header;
use crate::tokens::Tokens;

/// The call that asks a server who it is, which needs no token.
const HELLO: &str = "/muster.v1.ServerService/GetServerInfo";
/// The gRPC code, as it travels.
const UNAUTHENTICATED: &str = "16";
const DETAILS: &str = "grpc-status-details-bin";

/// A connection to a registry server that carries any number of calls. It is never made anew: once
/// it broke, everything on it fails, and the owner opens another one. So it is decided in one place
/// how often a server is tried, and each connection's server is asked who it is.
#[derive(Clone)]
pub(crate) struct Connection {
    channel: Channel,
    headers: Arc<Vec<(HeaderName, HeaderValue)>>,
    tokens: Option<Arc<Tokens>>,
    broken: Arc<AtomicBool>,
    limits: Arc<Limits>,
}

/// What the server takes, once it said so.
struct Limits {
    leases: AtomicUsize,
    subscriptions: AtomicUsize,
}

impl Connection {
    /// Opens a connection. Takes as long as the dialler does; the caller bounds it.
    pub(crate) async fn open(config: &Config, address: &str) -> Result<Connection, io::Error> {
        let endpoint = endpoint(config, address)?;
        let transport = dial(config, address).await?;
        let channel = endpoint
            .connect_with_connector(Once(Some(transport)))
            .await
            .map_err(io::Error::other)?;
        Ok(Connection {
            channel,
            headers: Arc::new(headers(config)),
            tokens: config.tokens.clone(),
            broken: Arc::default(),
            limits: Arc::new(Limits {
                leases: AtomicUsize::new(defaults::LEASES_PER_KEEPALIVE),
                subscriptions: AtomicUsize::new(defaults::SUBSCRIPTIONS_PER_STREAM),
            }),
        })
    }

    /// Whether a call saw it break.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Notes that a call saw it break. Calls under way go on as they can.
    pub(crate) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Makes this handle send headers of an observer with its calls.
    pub(crate) fn carry(&mut self, headers: &[Header]) {
        if headers.is_empty() {
            return;
        }
        let mut all = self.headers.to_vec();
        all.extend(headers.iter().filter_map(Header::to_http));
        self.headers = Arc::new(all);
    }

    /// Leases that one keepalive may renew.
    pub(crate) fn leases_per_message(&self) -> usize {
        self.limits.leases.load(Ordering::Relaxed)
    }

    /// Subscriptions that one watch stream may carry.
    pub(crate) fn subscriptions_per_stream(&self) -> usize {
        self.limits.subscriptions.load(Ordering::Relaxed)
    }

    /// Notes what the server takes.
    pub(crate) fn limit(&self, limits: &v1::Limits) {
        let set = |to: &AtomicUsize, limit: u32, most: usize| {
            if limit > 0 {
                let limit = usize::try_from(limit).unwrap_or(most);
                to.store(limit.min(most), Ordering::Relaxed);
            }
        };
        let ours = &self.limits;
        set(
            &ours.leases,
            limits.leases_per_keepalive,
            defaults::LEASES_PER_KEEPALIVE,
        );
        let subscriptions = limits.subscriptions_per_stream;
        set(
            &ours.subscriptions,
            subscriptions,
            defaults::SUBSCRIPTIONS_PER_STREAM,
        );
    }

    pub(crate) fn registrations(&self) -> RegistrationServiceClient<Connection> {
        RegistrationServiceClient::new(self.clone()).max_decoding_message_size(config::MAX_MESSAGE)
    }

    pub(crate) fn discovery(&self) -> DiscoveryServiceClient<Connection> {
        DiscoveryServiceClient::new(self.clone()).max_decoding_message_size(config::MAX_MESSAGE)
    }

    pub(crate) fn server(&self) -> ServerServiceClient<Connection> {
        ServerServiceClient::new(self.clone())
    }
}

fn endpoint(config: &Config, address: &str) -> Result<Endpoint, io::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(io::Error::other)?;
    let endpoint = endpoint
        .http2_keep_alive_interval(defaults::TRANSPORT_KEEPALIVE_TIME)
        .keep_alive_timeout(defaults::TRANSPORT_KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    if config.is_encrypted() {
        // The transport is encrypted by us; only the requests' scheme has to say so.
        let origin = format!("https://{address}").parse::<Uri>();
        return Ok(endpoint.origin(origin.map_err(io::Error::other)?));
    }
    Ok(endpoint)
}

/// Opens what HTTP/2 runs over.
async fn dial(config: &Config, address: &str) -> Result<Box<dyn Transport>, io::Error> {
    let transport = (config.dial)(address.to_owned()).await?;
    #[cfg(feature = "tls-ring")]
    if let Some(tls) = &config.tls {
        return crate::tls::encrypt(tls, address, transport).await;
    }
    Ok(transport)
}

/// What every call carries; docs/protocol.md names it.
fn headers(config: &Config) -> Vec<(HeaderName, HeaderValue)> {
    let mut list = vec![
        ("muster-protocol", config::PROTOCOL_VERSION.to_string()),
        ("muster-client", format!("rust/{}", config::VERSION)),
        // "ack" says that this client acknowledges drains.
        ("muster-features", "ack".to_owned()),
    ];
    if !config.name.is_empty() {
        list.push(("muster-client-name", config.name.clone()));
    }
    list.into_iter()
        .filter_map(|(name, value)| {
            // The values were checked to be printable, so none is left out.
            Some((
                HeaderName::from_static(name),
                HeaderValue::from_str(&value).ok()?,
            ))
        })
        .collect()
}

/// A connector that hands out one transport, once.
struct Once(Option<Box<dyn Transport>>);

impl Service<Uri> for Once {
    type Response = TokioIo<Box<dyn Transport>>;
    type Error = io::Error;
    type Future = std::future::Ready<Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(
            self.0
                .take()
                .map(TokioIo::new)
                .ok_or_else(|| io::Error::other("the connection was lost")),
        )
    }
}

impl Service<http::Request<Body>> for Connection {
    type Response = http::Response<CleanBody>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        for (name, value) in self.headers.iter() {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let tokens = self
            .tokens
            .clone()
            .filter(|_| request.uri().path() != HELLO);
        // The one that was polled to be ready; the clone is for the next call.
        let next = self.channel.clone();
        let mut channel = std::mem::replace(&mut self.channel, next);
        Box::pin(async move {
            let mut token = None;
            if let Some(tokens) = tokens {
                let value = tokens.get().await?;
                let header = HeaderValue::from_str(&format!("Bearer {value}"))?;
                request.headers_mut().insert(AUTHORIZATION, header);
                token = Some(SentToken { tokens, value });
            }
            let mut response = channel.call(request).await?;
            if let Some(token) = &token {
                token.look(response.headers());
            }
            clean(response.headers_mut());
            Ok(response.map(|body| CleanBody { body, token }))
        })
    }
}

/// The token that a call was made with.
struct SentToken {
    tokens: Arc<Tokens>,
    value: String,
}

impl SentToken {
    /// Drops the token if the server refused it, so that the next call has a new one.
    fn look(&self, headers: &HeaderMap) {
        if headers
            .get("grpc-status")
            .is_some_and(|s| s == UNAUTHENTICATED)
        {
            self.tokens.reject(&self.value);
        }
    }
}

/// A body whose trailers tonic can read: it panics on status details that are not base64.
pub(crate) struct CleanBody {
    body: Body,
    token: Option<SentToken>,
}

impl HttpBody for CleanBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            if let Some(token) = &self.token {
                token.look(trailers);
            }
            clean(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// Takes out status details that cannot be decoded; code and message stay.
fn clean(headers: &mut HeaderMap) {
    let bad = headers.get(DETAILS).is_some_and(|value| {
        BinaryMetadataValue::try_from(value.as_bytes()).is_err() || !decodes(value.as_bytes())
    });
    if bad {
        headers.remove(DETAILS);
    }
}

fn decodes(text: &[u8]) -> bool {
    let mut map = HeaderMap::new();
    let Ok(value) = HeaderValue::from_bytes(text) else {
        return false;
    };
    map.insert("muster-bin", value);
    let map = tonic::metadata::MetadataMap::from_headers(map);
    map.get_bin("muster-bin")
        .is_some_and(|v| v.to_bytes().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undecodable_details_are_taken_out() {
        for (details, kept) in [
            ("CAUSBHRlc3Q", true),
            ("CAUSBHRlc3Q=", true),
            ("", true),
            ("not base64!", false),
            ("A", false),
            ("=", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", HeaderValue::from_static("5"));
            headers.insert(DETAILS, HeaderValue::from_static(details));
            clean(&mut headers);
            assert_eq!(headers.contains_key(DETAILS), kept, "{details}");
            // tonic panics here if a bad one was left in.
            let status = Status::from_header_map(&headers).expect("a status");
            assert_eq!(status.code(), tonic::Code::NotFound);
        }
    }
}
