//! TLS to endpoints, with rustls.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, Error as TlsError};

use super::connect::{Connecting, Connector, Io, tcp};
use super::endpoint::{EndpointKey, Protocol};

const H2: &[u8] = b"h2";

/// TCP, with TLS to the endpoints that want it.
///
/// The configuration can be replaced at any time, as when certificates were renewed: connections
/// that are open live on, later ones use the new one. Clones share it.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ArcSwap<ClientConfig>>,
}

impl Tls {
    /// Connects with this configuration. Its ALPN protocols are replaced by `h2`.
    #[must_use]
    pub fn new(config: ClientConfig) -> Self {
        Self {
            config: Arc::new(ArcSwap::from_pointee(with_h2(config))),
        }
    }

    /// Uses another configuration from now on.
    pub fn replace(&self, config: ClientConfig) {
        self.config.store(Arc::new(with_h2(config)));
    }
}

fn with_h2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![H2.to_vec()];
    config
}

impl Connector for Tls {
    fn connect(&self, key: &EndpointKey, authority: &str) -> Connecting {
        let name = key
            .server_name
            .as_deref()
            .unwrap_or_else(|| host(authority));
        let name = ServerName::try_from(name.to_owned());
        let key = key.clone();
        let config = self.config.load_full();
        Box::pin(async move {
            let stream = tcp(&key.address).await?;
            let io: Io = match key.protocol {
                Protocol::H2c => Box::new(stream),
                Protocol::H2Tls | Protocol::H2MutualTls => {
                    let name = name.map_err(io::Error::other)?;
                    let connector = tokio_rustls::TlsConnector::from(config);
                    let stream = connector.connect(name, stream).await.map_err(explained)?;
                    if stream.get_ref().1.alpn_protocol() != Some(H2) {
                        return Err(io::Error::new(
                            io::ErrorKind::Unsupported,
                            "the peer speaks TLS, but did not agree to HTTP/2 (ALPN h2)",
                        ));
                    }
                    Box::new(stream)
                }
            };
            Ok(io)
        })
    }
}

/// An authority without its port.
fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            host.trim_start_matches('[').trim_end_matches(']')
        }
        _ => authority,
    }
}

/// Says what the most frequent mistake looks like from here.
fn explained(error: io::Error) -> io::Error {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>());
    match tls {
        Some(TlsError::InvalidMessage(_)) => io::Error::new(
            error.kind(),
            format!("the peer does not speak TLS, perhaps plaintext; TLS was wanted ({error})"),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_authorities() {
        for (authority, want) in [
            ("pay.shop", "pay.shop"),
            ("pay.shop:443", "pay.shop"),
            ("[::1]:443", "::1"),
            ("10.0.0.1:1", "10.0.0.1"),
        ] {
            assert_eq!(host(authority), want);
        }
    }
}
