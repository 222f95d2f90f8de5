//! TLS to the registry, with rustls.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, Error as TlsError};

use crate::config::Transport;
use crate::messages;

/// Encrypts a connection. The certificate must carry the address's host.
pub(crate) async fn encrypt(
    config: &Arc<ClientConfig>,
    address: &str,
    transport: Box<dyn Transport>,
) -> Result<Box<dyn Transport>, io::Error> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(config.clone());
    let stream = connector.connect(name, transport).await;
    let stream = stream.map_err(|e| explained(address, e))?;
    Ok(Box::new(stream))
}

/// A server without TLS answers the handshake with something that is no TLS message at all.
fn explained(address: &str, e: io::Error) -> io::Error {
    let tls = e
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>());
    match tls {
        Some(TlsError::InvalidMessage(_)) => io::Error::other(messages::plaintext(address)),
        _ => e,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, Reason};
    use tokio::io::AsyncWriteExt;
    use tokio_rustls::rustls::RootCertStore;

    #[tokio::test(start_paused = true)]
    async fn story_14_plaintext_server() {
        let config = ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let client = Client::builder(["10.0.0.5:7070"])
            .tls(config)
            .dial(|_| async {
                let (ours, mut theirs) = tokio::io::duplex(1_024);
                tokio::spawn(async move {
                    // What an HTTP/2 server says first: its SETTINGS.
                    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
                    theirs.write_all(&settings).await.expect("written");
                    std::future::pending::<()>().await;
                });
                Ok(ours)
            })
            .build()
            .expect("a client");
        let e = client.ready().await.expect_err("no TLS");
        assert_eq!(e.reason(), Reason::NoServer);
        assert!(
            e.to_string()
                .contains("server 10.0.0.5:7070 speaks plaintext, TLS was configured"),
            "{e}"
        );
        client.close().await;
    }
}
