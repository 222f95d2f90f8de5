//! How bytes reach an endpoint.

use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::endpoint::{EndpointKey, Protocol};

/// A byte stream to an endpoint: anything that reads and writes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// The byte stream that a [`Connector`] returns.
pub type Io = Box<dyn Stream>;

/// The answer of a [`Connector`], in time.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Io>> + Send>>;

/// Opens byte streams to endpoints: TCP and TLS in production, pipes in tests.
///
/// Called from several tasks at once. The channel bounds the time an attempt takes, by dropping
/// the future.
pub trait Connector: Send + Sync + 'static {
    /// Opens a stream to `key.address` and, if `key.protocol` says so, secures it for
    /// `key.server_name`, else for `authority`.
    ///
    /// An error's text becomes the cause in the errors of calls, so it need not name the address.
    fn connect(&self, key: &EndpointKey, authority: &str) -> Connecting;
}

/// TCP without TLS.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Connector for Tcp {
    fn connect(&self, key: &EndpointKey, _authority: &str) -> Connecting {
        let key = key.clone();
        Box::pin(async move {
            if key.protocol != Protocol::H2c {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "the endpoint wants TLS and the channel has none; give it a TLS configuration",
                ));
            }
            let io: Io = Box::new(tcp(&key.address).await?);
            Ok(io)
        })
    }
}

/// A TCP connection that sends small frames at once.
pub(crate) async fn tcp(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await.map_err(plain)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The operating system's words without its error number.
fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => io::Error::new(error.kind(), "connection refused"),
        io::ErrorKind::HostUnreachable => io::Error::new(error.kind(), "host unreachable"),
        io::ErrorKind::NetworkUnreachable => io::Error::new(error.kind(), "network unreachable"),
        _ => error,
    }
}
