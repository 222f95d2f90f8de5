//! TLS to the registry, with rustls.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use muster_rules::quote::quote;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};

use crate::config::Transport;
use crate::error::{Error, Reason};
use crate::messages;
use crate::token::file_cause;

/// TLS to the registry. The default trusts the system's authorities and shows no certificate. Files
/// are PEM; they are read at once, and again at each connection, so that renewed ones are used
/// without a restart. Files that cannot be used then are logged, and the last good ones stay in use.
/// TLS 1.2 or later is spoken.
#[derive(Clone, Default)]
pub struct TlsConfig {
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    server_name: Option<String>,
    custom: Option<Arc<ClientConfig>>,
}

impl TlsConfig {
    /// TLS that trusts the system's authorities.
    #[must_use]
    pub fn new() -> TlsConfig {
        TlsConfig::default()
    }

    /// A configuration of rustls in place of files. Its ALPN protocols are replaced by `h2`.
    #[must_use]
    pub fn custom(mut config: ClientConfig) -> TlsConfig {
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsConfig {
            custom: Some(Arc::new(config)),
            ..TlsConfig::default()
        }
    }

    /// Sets the file of the authorities that servers' certificates must come from, in place of those
    /// of the system.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Sets the file of the client's certificate, with its chain. It needs a key file, too.
    #[must_use]
    pub fn cert_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.cert_file = Some(path.into());
        self
    }

    /// Sets the file of the client's key. It needs a certificate file, too.
    #[must_use]
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_file = Some(path.into());
        self
    }

    /// Sets the name that servers' certificates must carry, in place of the host that each server is
    /// listed by.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

impl From<ClientConfig> for TlsConfig {
    fn from(config: ClientConfig) -> TlsConfig {
        TlsConfig::custom(config)
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("ca_file", &self.ca_file)
            .field("cert_file", &self.cert_file)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// The contents of the files.
#[derive(Default, PartialEq, Eq)]
struct Files {
    ca: Vec<u8>,
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// Gives each handshake what the files hold now.
pub(crate) struct TlsLoader {
    config: TlsConfig,
    good: Mutex<(Files, Arc<ClientConfig>)>,
}

impl TlsLoader {
    /// Reads the files for the first time.
    pub(crate) fn new(config: TlsConfig) -> Result<TlsLoader, Error> {
        let has_files =
            config.ca_file.is_some() || config.cert_file.is_some() || config.key_file.is_some();
        if config.custom.is_some() && has_files {
            return Err(messages::option_error(
                "tls",
                "custom together with files",
                "use one of them",
            ));
        }
        if config.cert_file.is_some() != config.key_file.is_some() {
            return Err(messages::option_error(
                "tls",
                "a certificate without its key, or a key alone,",
                "set cert_file and key_file, or neither",
            ));
        }
        let server_name = config.server_name.as_deref();
        if server_name.is_some_and(|n| ServerName::try_from(n).is_err()) {
            let name = server_name.unwrap_or_default();
            let allowed = "use a DNS name or an IP address";
            return Err(messages::option_error(
                "tls.server_name",
                &quote(name),
                allowed,
            ));
        }
        let good = match &config.custom {
            Some(custom) => (Files::default(), custom.clone()),
            None => {
                let files = read(&config)?;
                let parsed = parse(&config, &files)?;
                (files, parsed)
            }
        };
        Ok(TlsLoader {
            config,
            good: Mutex::new(good),
        })
    }

    /// What the next handshake uses. Reads files.
    fn current(&self) -> Arc<ClientConfig> {
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if self.config.custom.is_none() {
            let renewed = read(&self.config).and_then(|files| {
                if files == good.0 {
                    return Ok(None);
                }
                let parsed = parse(&self.config, &files)?;
                Ok(Some((files, parsed)))
            });
            match renewed {
                Ok(Some(renewed)) => *good = renewed,
                Ok(None) => {}
                Err(e) => tracing::warn!("{}", messages::keeps_tls(e.message())),
            }
        }
        good.1.clone()
    }
}

fn read(config: &TlsConfig) -> Result<Files, Error> {
    let one = |option: &str, path: &Option<PathBuf>| match path {
        None => Ok(Vec::new()),
        Some(path) => std::fs::read(path).map_err(|e| unusable(option, path, &file_cause(&e))),
    };
    Ok(Files {
        ca: one("tls.ca_file", &config.ca_file)?,
        cert: one("tls.cert_file", &config.cert_file)?,
        key: one("tls.key_file", &config.key_file)?,
    })
}

fn parse(config: &TlsConfig, files: &Files) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| messages::option_error("tls", "the default", &e.to_string()))?;
    let roots = match &config.ca_file {
        Some(path) => authorities("tls.ca_file", path, &files.ca)?,
        None => system_authorities(),
    };
    let builder = builder.with_root_certificates(roots);
    let mut parsed = match (&config.cert_file, &config.key_file) {
        (Some(cert_file), Some(key_file)) => {
            let chain = certificates("tls.cert_file", cert_file, &files.cert)?;
            let wrong = || {
                let why = "it holds no key that belongs to the certificate";
                unusable("tls.key_file", key_file, why)
            };
            let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| wrong())?;
            let built = builder.with_client_auth_cert(chain, key);
            built.map_err(|_| wrong())?
        }
        _ => builder.with_no_client_auth(),
    };
    parsed.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(parsed))
}

fn certificates(
    option: &str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match list {
        Ok(list) if !list.is_empty() => Ok(list),
        _ => Err(unusable(
            option,
            path,
            "it holds no certificate in PEM form",
        )),
    }
}

fn authorities(option: &str, path: &Path, pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(option, path, pem)?);
    if added == 0 {
        let why = "it holds no certificate in PEM form";
        return Err(unusable(option, path, why));
    }
    Ok(roots)
}

/// A system without any leaves nothing to be trusted, which the first handshake tells.
fn system_authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn unusable(option: &str, path: &Path, why: &str) -> Error {
    let text = messages::file(option, &path.display().to_string(), why);
    Error::new(Reason::InvalidArgument, text).about("new", option)
}

/// Encrypts a connection. The certificate must carry the chosen name, or the address's host.
pub(crate) async fn encrypt(
    loader: &Arc<TlsLoader>,
    address: &str,
    transport: Box<dyn Transport>,
) -> Result<Box<dyn Transport>, io::Error> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let wanted = loader.config.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(wanted.to_owned()).map_err(io::Error::other)?;
    let reading = loader.clone();
    let config = tokio::task::spawn_blocking(move || reading.current()).await;
    let connector = TlsConnector::from(config.map_err(io::Error::other)?);
    let stream = connector.connect(name, transport).await;
    let stream = stream.map_err(|e| explained(address, wanted, e))?;
    Ok(Box::new(stream))
}

/// Story 14: why TLS did not come about. A server without TLS answers the handshake with something
/// that is no TLS message at all.
fn explained(server: &str, wanted: &str, e: io::Error) -> io::Error {
    let tls = e
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>());
    let text = match tls {
        Some(TlsError::InvalidMessage(_)) => messages::plaintext(server),
        Some(TlsError::InvalidCertificate(why)) => match why {
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names: Vec<String> = presented.iter().map(|n| bare_name(n)).collect();
                messages::wrong_name(server, wanted, &names)
            }
            CertificateError::UnknownIssuer => messages::unknown_authority(server),
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => messages::certificate_expired(server),
            _ => return e,
        },
        _ => return e,
    };
    io::Error::other(text)
}

/// A name without what rustls writes around it: `DnsName("a")` or `IpAddress(10.0.0.1)`.
fn bare_name(name: &str) -> String {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner);
    let inner = inner.trim_end_matches(')').trim_matches('"');
    match inner.parse::<IpAddr>() {
        Ok(ip) => ip.to_string(),
        Err(_) => inner.to_owned(),
    }
}
