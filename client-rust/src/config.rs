//! Settings of a client, their defaults, and the builder that checks them.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use muster_rules::defaults;
use muster_rules::environment::{GRACE_MS, TTL_MS};
use muster_rules::quote::quote;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::backoff::{self, duration, signed_millis};
use crate::cache::DiskCache;
use crate::cache_dir::{CacheDir, CacheFiles};
use crate::client::Client;
use crate::error::{Error, Reason};
use crate::fixed::FixedServices;
use crate::freshness::Ages;
use crate::instance::Locality;
use crate::messages;
use crate::observer::Observer;
use crate::spec::InstanceSpec;
use crate::telemetry::Telemetry;
#[cfg(feature = "tls-ring")]
use crate::tls::{TlsConfig, TlsLoader};
use crate::token::TokenSource;
use crate::token::file_cause;
use crate::tokens::Tokens;

/// The release of this library, sent with every call.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of the protocol that this client speaks.
pub(crate) const PROTOCOL_VERSION: u32 = 1;
/// Bounds what is done for a client whose last clone was dropped.
pub(crate) const DROP_TIMEOUT: Duration = Duration::from_secs(1);
/// The largest message taken from a registry: a lookup may answer 10,000 instances.
pub(crate) const MAX_MESSAGE: usize = 64 << 20;

const NAME_BYTES: usize = 128;
const LOCALITY_BYTES: usize = 63;

/// A connection to a registry server, before HTTP/2.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Opens connections to `host:port`.
pub(crate) type Dial =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Box<dyn Transport>>> + Send + Sync>;
/// Opens a directory for the cache.
pub(crate) type OpenCache = Arc<dyn Fn(&Path) -> io::Result<Arc<dyn CacheFiles>> + Send + Sync>;
/// Draws random words.
pub(crate) type Words = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Everything that can be set, checked.
#[derive(Clone)]
pub(crate) struct Config {
    /// Each server, `host:port` or `host:port@zone`.
    pub(crate) servers: Vec<String>,
    /// By which people recognise this client.
    pub(crate) name: String,
    /// How long the registry waits for a silent process.
    pub(crate) ttl: Duration,
    /// What the process has between being told to stop and being killed.
    #[cfg_attr(
        not(feature = "tonic-0_14-serve"),
        allow(dead_code, reason = "for serve alone")
    )]
    pub(crate) grace_period: Duration,
    /// What ages of views mean.
    pub(crate) ages: Ages,
    #[cfg(feature = "tls-ring")]
    pub(crate) tls: Option<Arc<TlsLoader>>,
    pub(crate) tokens: Option<Arc<Tokens>>,
    /// Where this process runs.
    pub(crate) locality: Locality,
    /// Services that the registry is not asked for.
    pub(crate) fixed: Arc<FixedServices>,
    /// Where views are kept on disk.
    pub(crate) cache_dir: Option<PathBuf>,
    pub(crate) open_cache: OpenCache,
    pub(crate) dial: Dial,
    pub(crate) words: Words,
    /// By which the client chooses its place in the list of servers.
    pub(crate) order_word: Words,
    pub(crate) telemetry: Arc<Telemetry>,
}

impl Config {
    /// A random word.
    pub(crate) fn word(&self) -> u64 {
        (self.words)()
    }

    /// Whether connections to the registry are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        #[cfg(feature = "tls-ring")]
        let encrypted = self.tls.is_some();
        #[cfg(not(feature = "tls-ring"))]
        let encrypted = false;
        encrypted
    }

    /// The ceiling of waits between attempts that concern leases.
    pub(crate) fn backoff_cap(&self) -> Duration {
        backoff::lease_cap(self.ttl)
    }

    /// Opens the directory for views, if there is to be one.
    fn open_cache(&self) -> Result<Option<DiskCache>, Error> {
        let Some(path) = &self.cache_dir else {
            return Ok(None);
        };
        match (self.open_cache)(path) {
            Ok(files) => Ok(Some(DiskCache::new(path.clone(), files))),
            Err(e) => {
                let allowed = format!(
                    "it cannot be written to ({}); name a directory that this process may write",
                    file_cause(&e)
                );
                let value = quote(path.display().to_string());
                Err(messages::option_error("cache_dir", &value, &allowed).caused_by(e))
            }
        }
    }

    /// `alone`: there is no registry; `encrypted`: connections to it will be.
    fn validate(&self, alone: bool, encrypted: bool) -> Result<(), Error> {
        if self.servers.is_empty() && !alone {
            return invalid(
                "",
                "no registry servers given; pass at least one address, such as 127.0.0.1:7070",
            );
        }
        for s in &self.servers {
            if let Err(problem) = muster_rules::servers::Server::parse(s) {
                return invalid(s, format!("registry server {problem}"));
            }
        }
        self.validate_texts()?;
        self.validate_times()?;
        if let Some(path) = &self.cache_dir
            && !path.is_absolute()
        {
            let allowed = "use an absolute path, or leave the option out for no cache";
            let value = quote(path.display().to_string());
            return Err(messages::option_error("cache_dir", &value, allowed));
        }
        if self.tokens.is_some() && !encrypted {
            return Err(messages::option_error(
                "token",
                "a token without TLS",
                "it is never sent in plaintext; set tls, too",
            ));
        }
        Ok(())
    }

    fn validate_texts(&self) -> Result<(), Error> {
        let printable = self.name.chars().all(|c| (' '..='~').contains(&c));
        let (region, zone) = (&self.locality.region, &self.locality.zone);
        let place = "use at most 63 bytes";
        for (option, value, ok, allowed) in [
            (
                "name",
                &self.name,
                printable && self.name.len() <= NAME_BYTES,
                "use at most 128 printable ASCII characters",
            ),
            ("region", region, region.len() <= LOCALITY_BYTES, place),
            ("zone", zone, zone.len() <= LOCALITY_BYTES, place),
        ] {
            if !ok {
                return Err(messages::option_error(option, &quote(value), allowed));
            }
        }
        Ok(())
    }

    fn validate_times(&self) -> Result<(), Error> {
        let ok = |d: Duration, allowed_ms: &RangeInclusive<i64>| {
            allowed_ms.contains(&signed_millis(d)) && d.subsec_nanos().is_multiple_of(1_000_000)
        };
        let refused =
            |option, value: String, allowed| Err(messages::option_error(option, &value, allowed));
        if !ok(self.ttl, &TTL_MS) {
            let value = format!("{:?}", self.ttl);
            return refused("ttl", value, "use 1s to 1h in whole milliseconds");
        }
        let (stale, expired) = (self.ages.stale_ms, self.ages.expired_ms);
        if stale <= 0 || expired <= stale {
            let value = format!("{:?}, {:?}", duration(stale), duration(expired));
            let allowed = "both must be positive, and the second longer";
            return refused("freshness", value, allowed);
        }
        if !ok(self.grace_period, &GRACE_MS) {
            let value = format!("{:?}", self.grace_period);
            return refused("grace_period", value, "use 3s to 24h in whole milliseconds");
        }
        Ok(())
    }
}

fn invalid(subject: &str, text: impl Into<String>) -> Result<(), Error> {
    Err(Error::new(Reason::InvalidArgument, text).about("new", subject))
}

fn tcp(address: String) -> BoxFuture<'static, io::Result<Box<dyn Transport>>> {
    Box::pin(async move {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream) as Box<dyn Transport>)
    })
}

/// Settings of a [`Client`] to be, from [`Client::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct ClientBuilder {
    config: Config,
    /// Instances that were given, not checked yet.
    given: Vec<InstanceSpec>,
    /// There is no registry.
    alone: bool,
    #[cfg(feature = "tls-ring")]
    tls: Option<TlsConfig>,
}

impl ClientBuilder {
    pub(crate) fn new(servers: Vec<String>) -> ClientBuilder {
        ClientBuilder {
            config: Config {
                servers,
                name: String::new(),
                ttl: defaults::TTL,
                grace_period: defaults::GRACE_PERIOD,
                ages: Ages::default(),
                #[cfg(feature = "tls-ring")]
                tls: None,
                tokens: None,
                locality: Locality::default(),
                fixed: Arc::default(),
                cache_dir: None,
                open_cache: Arc::new(|path| Ok(Arc::new(CacheDir::open(path)?))),
                dial: Arc::new(tcp),
                words: Arc::new(|| fastrand::u64(..)),
                order_word: Arc::new(|| fastrand::u64(..)),
                telemetry: Arc::default(),
            },
            given: Vec::new(),
            alone: false,
            #[cfg(feature = "tls-ring")]
            tls: None,
        }
    }

    /// Sets the name by which people recognise this client, as in `2 of 14 unconfirmed: orders-3`.
    /// Default empty; at most 128 printable ASCII characters.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = name.into();
        self
    }

    /// Sets the TTL of leases: how long the registry waits for a silent process before its
    /// instances expire. 1 s to 1 h, default 15 s, whole milliseconds.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.config.ttl = ttl;
        self
    }

    /// Sets what this process has between being told to stop and being killed: `tonic_0_14::serve`
    /// divides it among the steps of the end, by section 23 of `docs/client-spec.md`. 3 s to 24 h,
    /// default 30 s, which is that of Kubernetes; whole milliseconds.
    pub fn grace_period(mut self, period: Duration) -> Self {
        self.config.grace_period = period;
        self
    }

    /// Sets the ages at which views become `STALE` (default 30 s) and `EXPIRED` (10 min). An expired
    /// view is still served.
    pub fn freshness(mut self, fresh_for: Duration, stale_for: Duration) -> Self {
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        self.config.ages = Ages {
            stale_ms: ms(fresh_for),
            expired_ms: ms(stale_for),
        };
        self
    }

    /// Sets who is told what the client does. Default nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.config.telemetry = Arc::new(Telemetry::new(Some(Arc::new(observer))));
        self
    }

    /// Encrypts connections to the registry. Default plaintext.
    #[cfg(feature = "tls-ring")]
    pub fn tls(mut self, config: impl Into<TlsConfig>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// Sets where tokens come from, which prove to the registry who calls. Default none. It needs
    /// TLS, since a token is never sent in plaintext.
    pub fn token(mut self, source: impl TokenSource + 'static) -> Self {
        self.config.tokens = Some(Arc::new(Tokens::new(Arc::new(source))));
        self
    }

    /// Sets the region and the zone where this process runs. Default empty, unknown, which is near to
    /// nobody. Channels prefer instances that are near. At most 63 bytes each.
    pub fn locality(mut self, region: impl Into<String>, zone: impl Into<String>) -> Self {
        self.config.locality = Locality {
            region: region.into(),
            zone: zone.into(),
        };
        self
    }

    /// Replaces the instances of the registry: for the services of these it is never asked. For
    /// development; default none. Filters of selectors mean nothing to them.
    pub fn overrides(mut self, instances: impl IntoIterator<Item = InstanceSpec>) -> Self {
        self.given = instances.into_iter().collect();
        self
    }

    /// There is no registry: what is given is everything.
    pub(crate) fn without_registry(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Keeps the last verified view of each selector in a directory, so that the process can start
    /// while no registry answers. An absolute path; default none. It is made if it is not there.
    pub fn cache_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.cache_dir = Some(path.into());
        self
    }

    /// Sets how connections to the registry are opened, given `host:port`, for tests and tunnels.
    /// Default TCP. Encryption, if there is any, is added to it.
    pub fn dial<F, Fut, T>(mut self, dial: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<T>> + Send + 'static,
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.config.dial = Arc::new(move |address| {
            let dialled = dial(address);
            Box::pin(async move { Ok(Box::new(dialled.await?) as Box<dyn Transport>) })
        });
        self
    }

    #[cfg(test)]
    pub(crate) fn with_dial(mut self, dial: Dial) -> Self {
        self.config.dial = dial;
        self
    }

    #[cfg(test)]
    pub(crate) fn with_open_cache(mut self, open: OpenCache) -> Self {
        self.config.open_cache = open;
        self
    }

    #[cfg(test)]
    pub(crate) fn servers<const N: usize>(mut self, servers: [&str; N]) -> Self {
        self.config.servers = servers.iter().map(|s| (*s).to_owned()).collect();
        self
    }

    /// Makes the client try servers as they are listed.
    #[cfg(test)]
    pub(crate) fn in_order(mut self) -> Self {
        self.config.order_word = Arc::new(|| 0);
        self
    }

    #[cfg(test)]
    pub(crate) fn words(mut self, words: Words) -> Self {
        self.config.words = words;
        self
    }

    /// Makes the client. It reads the files of TLS, opens the cache directory and talks to nobody: a
    /// registry that is down is found out by the first call that needs it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if a setting is wrong, or if this is not called within a tokio runtime,
    /// on which the client's tasks run.
    #[cfg_attr(not(feature = "tls-ring"), allow(unused_mut, reason = "for TLS alone"))]
    pub fn build(mut self) -> Result<Client, Error> {
        #[cfg(feature = "tls-ring")]
        let encrypted = self.tls.is_some();
        #[cfg(not(feature = "tls-ring"))]
        let encrypted = false;
        self.config.validate(self.alone, encrypted)?;
        #[cfg(feature = "tls-ring")]
        if let Some(tls) = self.tls {
            self.config.tls = Some(Arc::new(TlsLoader::new(tls)?));
        }
        self.config.fixed = Arc::new(FixedServices::new(self.given, self.alone)?);
        let Ok(runtime) = Handle::try_current() else {
            return Err(Error::new(
                Reason::InvalidArgument,
                "client: no tokio runtime; build it within #[tokio::main] or runtime.enter()",
            )
            .about("new", ""));
        };
        let cache = self.config.open_cache()?;
        Ok(Client::start(self.config, cache, runtime))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("servers", &self.config.servers)
            .field("name", &self.config.name)
            .field("ttl", &self.config.ttl)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        let b = |servers: &[&str]| {
            ClientBuilder::new(servers.iter().map(|s| (*s).to_owned()).collect())
        };
        let ms = Duration::from_millis;
        for (builder, want) in [
            (b(&[]), "no registry servers given"),
            (b(&["localhost"]), "is no host:port"),
            (b(&["http://a:1"]), "is no host:port"),
            (b(&["a:0"]), "is no host:port"),
            (b(&["a:1"]).name("x".repeat(129)), "option name"),
            (b(&["a:1"]).name("a\nb"), "option name"),
            (b(&["a:1"]).locality("x".repeat(64), ""), "option region"),
            (b(&["a:1"]).locality("", "x".repeat(64)), "option zone"),
            (b(&["a:1"]).freshness(ms(0), ms(1)), "option freshness"),
            (b(&["a:1"]).freshness(ms(9), ms(9)), "option freshness"),
            (b(&["a:1"]).ttl(ms(999)), "option ttl"),
            (b(&["a:1"]).ttl(ms(3_600_001)), "option ttl"),
            (
                b(&["a:1"]).ttl(Duration::from_micros(1_500_500)),
                "option ttl",
            ),
        ] {
            let e = builder.build().expect_err(want);
            assert_eq!(e.reason(), Reason::InvalidArgument);
            assert!(e.to_string().contains(want), "{e} should say {want}");
        }
    }

    #[test]
    fn build_outside_a_runtime_is_an_error() {
        let e = ClientBuilder::new(vec!["127.0.0.1:7070".into()])
            .build()
            .expect_err("no runtime");
        assert!(e.to_string().contains("no tokio runtime"), "{e}");
    }
}
