//! The registry's servers, the connections to them, and which of them serves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_proto::v1;
use muster_rules::defaults;
use muster_rules::servers::{Server as Listed, handover_order, order_servers};
use tokio::time::{Instant, timeout};

use crate::config::{Config, PROTOCOL_VERSION};
use crate::error::{Error, Reason};
use crate::event::Event;
use crate::messages;
use crate::status;
use crate::transport::Connection;

/// One server of the list and the one connection to it.
pub(crate) struct Server {
    address: String,
    index: usize,
    /// Held while connecting, so that concurrent callers share one attempt's result.
    connecting: tokio::sync::Mutex<()>,
    connection: Mutex<Option<Connection>>,
}

/// A server that answered, and a connection to it.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) server: Arc<Server>,
    pub(crate) connection: Connection,
}

impl Lane {
    pub(crate) fn address(&self) -> &str {
        &self.server.address
    }

    pub(crate) fn index(&self) -> usize {
        self.server.index
    }

    /// The error of a call on this lane. A connection that broke is not used again.
    pub(crate) fn error(&self, status: tonic::Status, op: &str, subject: &str) -> Error {
        if status::is_transport(&status) {
            self.connection.mark_broken();
        }
        status::error(status, op, subject, self.address())
    }
}

/// The list of servers and which one is tried first.
pub(crate) struct Servers {
    config: Arc<Config>,
    /// In the order in which servers are tried; the first `home` of them are in the client's zone.
    list: Vec<Arc<Server>>,
    home: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The index of the server that is tried first.
    current: usize,
    /// The cluster of the first server that answered; others are errors.
    cluster_id: String,
    /// When the present outage began; none while a server serves.
    failing: Option<Instant>,
    attempts: u32,
    last: Option<Error>,
}

impl Servers {
    pub(crate) fn new(config: Arc<Config>) -> Servers {
        // They were validated before.
        let parsed = config.servers.iter().map(|s| Listed::parse(s));
        let parsed: Vec<Listed> = parsed.filter_map(Result::ok).collect();
        let (order, home) = order_servers(&parsed, &config.locality.zone, (config.order_word)());
        let list = order
            .into_iter()
            .enumerate()
            .map(|(index, at)| {
                Arc::new(Server {
                    address: parsed[at].address.clone(),
                    index,
                    connecting: tokio::sync::Mutex::default(),
                    connection: Mutex::default(),
                })
            })
            .collect();
        Servers {
            config,
            list,
            home,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// A server that answers: the current one, else the first that does, trying each once, `avoid`
    /// last. Without one the error is NO_SERVER and says what became of each.
    pub(crate) async fn acquire(&self, avoid: Option<usize>) -> Result<Lane, Error> {
        self.first_of(self.order(avoid), avoid.is_none()).await
    }

    /// The server to go to when one is left by choice, which may be that one again. It becomes
    /// current.
    pub(crate) async fn handover(&self, from: usize) -> Result<Lane, Error> {
        let order = handover_order(self.list.len(), self.home, from);
        let order = order.into_iter().map(|at| self.list[at].clone()).collect();
        self.first_of(order, true).await
    }

    /// The first of these servers that answers.
    async fn first_of(
        &self,
        candidates: Vec<Arc<Server>>,
        make_current: bool,
    ) -> Result<Lane, Error> {
        let began = Instant::now();
        let mut causes = Vec::new();
        for server in candidates {
            match self.connect(&server).await {
                Ok(connection) => {
                    self.serving(server.index, make_current);
                    return Ok(Lane { server, connection });
                }
                Err(cause) => {
                    causes.push((server.address.clone(), cause));
                    if make_current {
                        // Who has less time than a round takes gets further the next time.
                        self.failed(server.index);
                    }
                }
            }
        }
        Err(self.outage(&causes, began))
    }

    /// The list from the current server on, with `avoid` moved to the end.
    fn order(&self, avoid: Option<usize>) -> Vec<Arc<Server>> {
        let first = self.lock().current;
        let n = self.list.len();
        let mut order: Vec<_> = (0..n).map(|i| self.list[(first + i) % n].clone()).collect();
        order.sort_by_key(|s| Some(s.index) == avoid);
        order
    }

    /// A connection whose server answered and is ours, within 3 s; otherwise why not.
    async fn connect(&self, server: &Server) -> Result<Connection, String> {
        let mut began = None;
        let attempt = async {
            let _one_at_a_time = server.connecting.lock().await;
            let present = server.connection().clone();
            if let Some(connection) = present.filter(|c| !c.is_broken()) {
                return Ok(connection);
            }
            began = Some(Instant::now());
            let connection = Connection::open(&self.config, &server.address)
                .await
                .map_err(|e| status::cause(&e))?;
            self.introduce(server, &connection).await?;
            *server.connection() = Some(connection.clone());
            Ok(connection)
        };
        let result = timeout(defaults::CONNECT_TIMEOUT, attempt)
            .await
            .unwrap_or_else(|_| Err(messages::no_answer(defaults::CONNECT_TIMEOUT)));
        if let Some(began) = began {
            self.tell(server, began, result.as_ref().err());
        }
        result
    }

    /// Tells of an attempt to connect.
    fn tell(&self, server: &Server, began: Instant, cause: Option<&String>) {
        let (server, duration) = (server.address.as_str(), began.elapsed());
        let event = match cause {
            None => Event::ServerConnected { server, duration },
            Some(cause) => Event::ServerFailed {
                server,
                cause,
                duration,
            },
        };
        self.config.telemetry.observe(&event);
    }

    /// Asks the server who it is: that proves that it answers at all, speaks our protocol and
    /// belongs to our cluster. An HTTP/2 handshake proves none of these.
    async fn introduce(&self, server: &Server, connection: &Connection) -> Result<(), String> {
        let info = connection
            .server()
            .get_server_info(v1::GetServerInfoRequest {})
            .await
            .map_err(|s| {
                if status::is_transport(&s) {
                    status::cause(&s)
                } else {
                    s.message().to_owned()
                }
            })?
            .into_inner();
        if info.oldest_protocol > PROTOCOL_VERSION || info.newest_protocol < PROTOCOL_VERSION {
            return Err(messages::protocol_not_served(
                &server.address,
                info.oldest_protocol,
                info.newest_protocol,
                PROTOCOL_VERSION,
            ));
        }
        if let Some(limits) = &info.limits {
            connection.limit(limits);
        }
        self.check_cluster(&server.address, &info.cluster_id)
            .map_err(|e| e.message().to_owned())
    }

    /// Pins the cluster of the first answer and refuses others, which is what a reused address
    /// would otherwise lead to.
    pub(crate) fn check_cluster(&self, address: &str, cluster_id: &str) -> Result<(), Error> {
        let mut state = self.lock();
        if state.cluster_id.is_empty() {
            cluster_id.clone_into(&mut state.cluster_id);
        }
        if cluster_id.is_empty() || cluster_id == state.cluster_id {
            return Ok(());
        }
        let text = messages::wrong_cluster(address, cluster_id, &state.cluster_id);
        let error = Error::new(Reason::WrongCluster, text);
        Err(error.about("connect", address).at(address))
    }

    /// The cluster of the first server that answered; empty before.
    pub(crate) fn cluster_id(&self) -> String {
        self.lock().cluster_id.clone()
    }

    /// Ends an outage. The server becomes current unless it was chosen only to avoid another.
    fn serving(&self, index: usize, make_current: bool) {
        let mut state = self.lock();
        state.failing = None;
        state.attempts = 0;
        state.last = None;
        if make_current {
            state.current = index;
        }
    }

    /// Moves on from a server that answered badly, if it is still current.
    pub(crate) fn failed(&self, index: usize) {
        let mut state = self.lock();
        if state.current == index {
            state.current = (index + 1) % self.list.len();
        }
    }

    /// Moves on from a server whose stream ended badly, unless it was for the credentials, which
    /// other servers refuse as well.
    pub(crate) fn blame(&self, index: usize, e: &Error) {
        if e.reason() != Reason::Unauthenticated {
            self.failed(index);
        }
    }

    /// Counts the failures of one round and makes the error of the outage.
    fn outage(&self, causes: &[(String, String)], began: Instant) -> Error {
        let mut state = self.lock();
        let since = *state.failing.get_or_insert(began);
        state.attempts += u32::try_from(causes.len()).unwrap_or(u32::MAX);
        let text =
            |retrying| messages::no_server(causes, state.attempts, since.elapsed(), retrying);
        let error = Error::new(Reason::NoServer, text(true))
            .about("connect", "")
            .or_when_given_up(text(false));
        state.last = Some(error.clone());
        error
    }

    /// The current server and the outage, if there is one.
    pub(crate) fn status(&self) -> (String, Option<Error>) {
        let state = self.lock();
        let address = self.list.get(state.current).map(|s| s.address.clone());
        (address.unwrap_or_default(), state.last.clone())
    }

    /// Lets all connections end once nothing uses them.
    pub(crate) fn close(&self) {
        for server in &self.list {
            *server.connection() = None;
        }
    }
}

impl Server {
    fn connection(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
