//! Endpoints that want TLS.

use std::sync::Arc;

use muster_client::tonic_0_14::{Channel, ChannelOptions, Endpoint, EndpointKey, Protocol, Tls};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tonic::Status;

use super::client::{Client, Source, in_use, soon};
use super::memory::{Does, Peer};

/// A TLS server with a certificate for one name.
struct Secured {
    address: String,
    peer: Arc<Peer>,
    certified: CertifiedKey<KeyPair>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(name: &str, alpn: &[&[u8]]) -> Secured {
    let certified = generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let peer = Arc::new(Peer::new(name, Does::Echoes));
    let serving = Arc::clone(&peer);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                serving.attach(stream);
            }
        }
    });
    Secured {
        address,
        peer,
        certified,
        task,
    }
}

fn trusting(servers: &[&Secured]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for server in servers {
        roots.add(server.certified.cert.der().clone()).unwrap();
    }
    ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn secured(address: &str, server_name: Option<&str>) -> Endpoint {
    let mut endpoint = Endpoint::plaintext(address, 1);
    endpoint.key = EndpointKey {
        protocol: Protocol::H2Tls,
        address: address.into(),
        server_name: server_name.map(Into::into),
        authority: None,
    };
    endpoint
}

fn channel(source: &Source, tls: &Tls) -> Channel {
    source.channel(ChannelOptions {
        connector: Arc::new(tls.clone()),
        ..ChannelOptions::default()
    })
}

async fn failure(channel: &Channel) -> Status {
    Client::new(channel)
        .unary("/t/echo", "x")
        .await
        .unwrap_err()
}

#[tokio::test]
async fn each_endpoint_under_its_own_name() {
    let one = serve("one.example", &[b"h2"]).await;
    let two = serve("pay.shop", &[b"h2"]).await;
    let source = Source::unknown();
    source.show(vec![
        secured(&one.address, Some("one.example")),
        // The name of the service, since it has none of its own.
        secured(&two.address, None),
    ]);
    let channel = channel(&source, &Tls::new(trusting(&[&one, &two])));
    in_use(&channel, 2).await;
    let mut client = Client::new(&channel);
    for _ in 0..60 {
        client.unary("/t/echo", "x").await.unwrap();
    }
    for (server, name) in [(&one, "one.example"), (&two, "pay.shop")] {
        let requests = server.peer.requests();
        assert!(requests.len() > 5, "{}", requests.len());
        assert_eq!(requests[0].uri().authority().unwrap(), name);
        assert_eq!(requests[0].uri().scheme_str(), Some("https"));
    }
}

#[tokio::test]
async fn a_wrong_name_shows_the_one_wanted_and_those_there() {
    let server = serve("one.example", &[b"h2"]).await;
    let source = Source::unknown();
    source.show(vec![secured(&server.address, Some("two.example"))]);
    let channel = channel(&source, &Tls::new(trusting(&[&server])));
    let status = soon(failure(&channel)).await;
    for part in [&*server.address, "two.example", "one.example"] {
        assert!(
            status.message().contains(part),
            "{part:?} is missing: {status}"
        );
    }
}

#[tokio::test]
async fn the_other_side_speaks_something_else() {
    let old = serve("one.example", &[b"http/1.1"]).await;
    let tls = Tls::new(trusting(&[&old]));
    let source = Source::unknown();
    source.show(vec![secured(&old.address, Some("one.example"))]);
    let status = soon(failure(&channel(&source, &tls))).await;
    assert!(
        status.message().contains("NoApplicationProtocol"),
        "{status}"
    );

    let silent = serve("one.example", &[]).await;
    let tls = Tls::new(trusting(&[&silent]));
    source.show(vec![secured(&silent.address, Some("one.example"))]);
    let status = soon(failure(&channel(&source, &tls))).await;
    assert!(
        status.message().contains("did not agree to HTTP/2"),
        "{status}"
    );

    let plain = super::loopback::Server::start();
    source.show(vec![secured(&plain.address(), Some("one.example"))]);
    let status = soon(failure(&channel(&source, &tls))).await;
    assert!(
        status
            .message()
            .contains("does not speak TLS, perhaps plaintext"),
        "{status}"
    );

    let status = soon(failure(&source.channel(ChannelOptions::default()))).await;
    assert!(
        status.message().contains("the channel has none"),
        "{status}"
    );
}

#[tokio::test]
async fn trust_that_changes_meets_new_connections() {
    let server = serve("pay.shop", &[b"h2"]).await;
    let tls = Tls::new(trusting(&[]));
    let source = Source::unknown();
    source.show(vec![secured(&server.address, None)]);
    let channel = channel(&source, &tls);
    let status = soon(failure(&channel)).await;
    assert!(status.message().contains("UnknownIssuer"), "{status}");
    tls.replace(trusting(&[&server]));
    in_use(&channel, 1).await;
    tls.replace(trusting(&[]));
    // The open connection lives on; the next one does not come about.
    assert_eq!(
        Client::new(&channel).unary("/t/echo", "x").await.unwrap(),
        "xpay.shop"
    );
    server.peer.kill();
    in_use(&channel, 0).await;
    soon(channel.until(|endpoints| {
        endpoints[0]
            .error
            .as_deref()
            .is_some_and(|error| error.contains("UnknownIssuer"))
    }))
    .await;
}
