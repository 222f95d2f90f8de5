//! TLS to the registry, by files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncWriteExt, copy_bidirectional, duplex};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::fake::Fake;
use crate::testing::network::Wire;
use crate::{Client, Reason, TlsConfig};

/// The server's end of a connection, without the TLS that the client's end speaks.
pub(crate) async fn decrypted(wire: Wire, tls: Arc<ServerConfig>) -> io::Result<Wire> {
    let mut encrypted = TlsAcceptor::from(tls).accept(wire).await?;
    let (mut near, far) = duplex(256 * 1024);
    tokio::spawn(async move {
        let _ended = copy_bidirectional(&mut encrypted, &mut near).await;
    });
    Ok(Wire::inner(far))
}

/// A directory of its own, removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        let unique = format!("muster-{name}-{}-{}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir(&path).expect("a directory");
        Scratch(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).expect("written");
        self.path(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Signs certificates for tests.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate and its key, as PEM.
    pub(crate) fn sign(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// TLS of servers that answer to names, and that want certificates of clients or not.
    pub(crate) fn server(&self, names: &[&str], mutual: bool) -> Arc<ServerConfig> {
        let (certificate, key) = self.sign(names);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if mutual {
            let mut roots = RootCertStore::empty();
            let ca = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM");
            roots.add(ca).expect("an authority");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).expect("a pair");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }
}

/// Makes the fake speak TLS with a certificate for names, and returns what a client trusts it by.
pub(crate) fn with_tls(fake: &Fake, scratch: &Scratch, names: &[&str]) -> (Authority, TlsConfig) {
    let authority = Authority::new();
    fake.lock().tls = Some(authority.server(names, false));
    let ca = scratch.write("ca.pem", &authority.pem);
    (authority, TlsConfig::new().ca_file(ca))
}

#[tokio::test(start_paused = true)]
async fn tls_by_files() {
    let (fake, scratch) = (Fake::new(1), Scratch::new("files"));
    let (_, config) = with_tls(&fake, &scratch, &["s0"]);
    let client = fake.builder().tls(config).build().expect("a client");
    client.ready().await.expect("ready");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn story_14_plaintext_server() {
    let client = Client::builder(["10.0.0.5:7070"])
        .tls(TlsConfig::new())
        .dial(|_| async {
            let (ours, mut theirs) = duplex(1_024);
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
    let want = "(server 10.0.0.5:7070 speaks plaintext, TLS was configured)";
    assert!(e.to_string().contains(want), "{e}");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn story_14_tls_mismatch() {
    type Edit = fn(TlsConfig) -> TlsConfig;
    let as_it_is: Edit = |c| c;
    let chosen: Edit = |c| c.server_name("registry.shop");
    for (names, edit, want) in [
        (
            vec!["muster.internal", "*.muster"],
            as_it_is,
            "s0:7070 (server s0:7070 has a certificate for muster.internal, *.muster, s0 was wanted)",
        ),
        (
            vec!["s0"],
            chosen,
            "has a certificate for s0, registry.shop was wanted",
        ),
        (vec!["registry.shop"], chosen, ""),
        (
            vec!["s0"],
            |_| TlsConfig::new(),
            "s0:7070 (server s0:7070 has a certificate of an authority that is not trusted; see the CA file)",
        ),
    ] {
        let (fake, scratch) = (Fake::new(1), Scratch::new("mismatch"));
        let (_, config) = with_tls(&fake, &scratch, &names);
        let client = fake.builder().tls(edit(config)).build().expect("a client");
        match client.ready().await {
            Ok(()) => assert_eq!(want, "", "{names:?}"),
            Err(e) => assert!(!want.is_empty() && e.to_string().contains(want), "{e}"),
        }
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn renewed_tls_files_are_used_and_broken_ones_are_not() {
    let (fake, scratch) = (Fake::new(1), Scratch::new("renewed"));
    let (_, config) = with_tls(&fake, &scratch, &["s0"]);
    let client = fake.builder().tls(config).build().expect("a client");
    client.ready().await.expect("ready");
    let again = async |what: &str, ok: bool| {
        fake.place(0).cut_all();
        let _ = client.lookup(crate::Selector::service("shop", "pay")).await;
        let result = client.ready().await;
        assert_eq!(result.is_ok(), ok, "{what}: {result:?}");
    };
    scratch.write("ca.pem", "not a certificate");
    again("a broken file leaves the old authorities", true).await;
    let other = Authority::new();
    fake.lock().tls = Some(other.server(&["s0"], false));
    again("another authority is not trusted", false).await;
    scratch.write("ca.pem", &other.pem);
    again("now it is", true).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn mutual_tls_by_files() {
    let (fake, scratch) = (Fake::new(1), Scratch::new("mutual"));
    let (authority, config) = with_tls(&fake, &scratch, &["s0"]);
    fake.lock().tls = Some(authority.server(&["s0"], true));
    let client = fake.builder().tls(config.clone()).build().expect("one");
    client.ready().await.expect_err("no certificate");
    client.close().await;
    let (certificate, key) = authority.sign(&["client"]);
    let config = config
        .cert_file(scratch.write("cert.pem", certificate))
        .key_file(scratch.write("key.pem", key));
    let client = fake.builder().tls(config).build().expect("one");
    client.ready().await.expect("ready");
    client.close().await;
}

#[tokio::test]
async fn wrong_tls_is_an_error_at_construction() {
    let scratch = Scratch::new("wrong");
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&["client"]);
    let ca = scratch.write("ca.pem", &authority.pem);
    let cert = scratch.write("cert.pem", certificate);
    let key = scratch.write("key.pem", key);
    let other = scratch.write("other.pem", authority.sign(&["client"]).1);
    let missing = scratch.path("missing.pem");
    let name = |path: &Path| path.display().to_string();
    let custom = || {
        TlsConfig::custom(
            ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth(),
        )
    };
    for (config, want) in [
        (
            TlsConfig::new().ca_file(&missing),
            format!(
                "option tls.ca_file: file {} cannot be used: no such file or directory",
                name(&missing)
            ),
        ),
        (
            TlsConfig::new().ca_file(&key),
            format!(
                "option tls.ca_file: file {} cannot be used: it holds no certificate in PEM form",
                name(&key)
            ),
        ),
        (
            TlsConfig::new().cert_file(&key).key_file(&key),
            format!(
                "option tls.cert_file: file {} cannot be used: it holds no certificate in PEM form",
                name(&key)
            ),
        ),
        (
            TlsConfig::new().cert_file(&cert).key_file(&other),
            format!(
                "option tls.key_file: file {} cannot be used: it holds no key that belongs to the certificate",
                name(&other)
            ),
        ),
        (
            TlsConfig::new().cert_file(&cert),
            "option tls: a certificate without its key, or a key alone, is not allowed".to_owned(),
        ),
        (
            custom().ca_file(&ca),
            "option tls: custom together with files is not allowed; use one of them".to_owned(),
        ),
        (
            TlsConfig::new().server_name("not a name"),
            "option tls.server_name: \"not a name\" is not allowed; use a DNS name or an IP address"
                .to_owned(),
        ),
    ] {
        let built = Client::builder(["a:1"]).tls(config).build();
        let e = built.expect_err(&want);
        assert_eq!(e.reason(), Reason::InvalidArgument);
        assert!(e.to_string().contains(&want), "{e}\nwant {want}");
    }
    let right = TlsConfig::new().ca_file(ca).cert_file(cert).key_file(key);
    let client = Client::builder(["a:1"]).tls(right).build();
    client.expect("a client").close().await;
}
