//! The registry as tests hold it.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures_core::Stream;
use futures_util::stream;
use muster_proto::v1::discovery_service_server::DiscoveryServiceServer;
use muster_proto::v1::registration_service_server::RegistrationServiceServer;
use muster_proto::v1::server_service_server::ServerServiceServer;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;

use super::core::Core;
use super::network::{Dialled, Place, Wire};
use super::server::Services;
use crate::{Client, ClientBuilder};

/// What clients of a test registry are given as its server. Only their dialler knows it.
pub const ADDRESS: &str = "registry.test:7070";

/// What the services and the registry's tasks share.
pub(super) struct Shared {
    core: Mutex<Core>,
    changed: watch::Sender<()>,
}

impl Shared {
    /// Does something under the lock, and wakes those who wait for what it changed.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Core, Instant) -> T) -> T {
        // Nothing of ours panics under the lock; if a test does elsewhere, the state is whole.
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut core, Instant::now());
        if std::mem::take(&mut core.dirty) {
            self.changed.send_replace(());
        }
        result
    }

    /// Sees every change from now on.
    pub(super) fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Lets leases expire, and ends recovery.
    async fn sweep(&self) {
        loop {
            let mut changed = self.changed();
            let wait = self.with(Core::expire_due);
            tokio::select! {
                _ = changed.changed() => {}
                () = sleep(wait) => {}
            }
        }
    }
}

/// A registry in memory: one server with its own history. Dropping it stops it; clients then see
/// their connections break.
pub struct Registry {
    pub(super) shared: Arc<Shared>,
    pub(super) place: Arc<Place>,
    dialled: mpsc::Sender<Wire>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new()
    }
}

impl Registry {
    /// Starts an empty registry. In paused time all of it, clients included, runs in that time.
    ///
    /// # Panics
    /// If it is called outside of a tokio runtime, on which the registry's tasks run.
    #[must_use]
    pub fn new() -> Registry {
        let shared = Arc::new(Shared {
            core: Mutex::new(Core::new(Instant::now())),
            changed: watch::Sender::new(()),
        });
        let (dialled, accepted) = mpsc::channel(16);
        let registry = Registry {
            shared: shared.clone(),
            place: Arc::default(),
            dialled,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let stop = registry.stop.clone();
        registry.tasks.spawn(async move {
            stop.run_until_cancelled(shared.sweep()).await;
        });
        let incoming = stream::unfold(accepted, |mut accepted| async move {
            let wire = accepted.recv().await?;
            Some((Ok::<_, io::Error>(wire), accepted))
        });
        let serving = registry.serving(incoming);
        registry.tasks.spawn(async move {
            // Only its incoming connections could make it fail, and these are in memory.
            let _ended: Result<(), tonic::transport::Error> = serving.await;
        });
        registry
    }

    /// Makes a client of the registry with default settings.
    ///
    /// # Panics
    /// If it is called outside of a tokio runtime.
    #[must_use]
    pub fn client(&self) -> Client {
        let built = self.client_builder().build();
        built.unwrap_or_else(|e| panic!("a test registry's client: {e}"))
    }

    /// Settings of a client of the registry to be. While the registry is cut off its connections
    /// are refused.
    pub fn client_builder(&self) -> ClientBuilder {
        let (place, dialled) = (self.place.clone(), self.dialled.clone());
        Client::builder([ADDRESS]).dial(move |_| dial(place.clone(), dialled.clone()))
    }

    /// Connects to the registry in memory, by hand.
    #[cfg(test)]
    pub(super) fn dial(&self) -> impl Future<Output = io::Result<DuplexStream>> + Send + 'static {
        dial(self.place.clone(), self.dialled.clone())
    }

    /// Serves the registry on a listener too, for another process, until the registry is closed.
    /// While the registry is cut off, connections are closed as soon as they are accepted.
    ///
    /// # Errors
    /// What the listener says, if it cannot go on.
    pub async fn serve(&self, listener: TcpListener) -> io::Result<()> {
        let place = self.place.clone();
        let incoming = stream::unfold((listener, place), |(listener, place)| async move {
            let wire = accept(&listener, &place).await;
            Some((wire, (listener, place)))
        });
        self.serving(incoming).await.map_err(io::Error::other)
    }

    /// Serves connections until the registry stops.
    fn serving<T>(
        &self,
        incoming: impl Stream<Item = io::Result<Wire<T>>> + Send + 'static,
    ) -> impl Future<Output = Result<(), tonic::transport::Error>> + Send + 'static
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let services = Services(self.shared.clone());
        Server::builder()
            .add_service(RegistrationServiceServer::new(services.clone()))
            .add_service(DiscoveryServiceServer::new(services.clone()))
            .add_service(ServerServiceServer::new(services))
            .serve_with_incoming_shutdown(incoming, self.stop.clone().cancelled_owned())
    }

    /// Stops the registry and joins its tasks.
    pub async fn close(&self) {
        self.end();
        self.tasks.wait().await;
    }

    fn end(&self) {
        self.tasks.close();
        self.stop.cancel();
        self.shared.with(Core::restarted);
        self.place.stop();
    }
}

/// Connects to the registry in memory.
async fn dial(place: Arc<Place>, dialled: mpsc::Sender<Wire>) -> io::Result<DuplexStream> {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let Dialled::Both(client, wire) = place.dial()? else {
        return Err(refused());
    };
    dialled.send(wire).await.map_err(|_| refused())?;
    Ok(client)
}

/// Accepts the next connection that is not refused.
async fn accept(listener: &TcpListener, place: &Place) -> io::Result<Wire<tokio::net::TcpStream>> {
    loop {
        let (stream, from) = listener.accept().await?;
        if !place.is_down() {
            stream.set_nodelay(true)?;
            return Ok(place.wire(stream, from.to_string()));
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
