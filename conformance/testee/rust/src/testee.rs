//! Everything that commands made, by name, and which command does what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_client::Client;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::channel::Wire;
use crate::command::{Answer, Command, Failure};
use crate::register::Kept;
use crate::say;
use crate::subscribe::Followed;

/// The name of the client that commands without one mean.
const USUAL: &str = "c";

/// Everything that commands made.
#[derive(Default)]
pub(crate) struct Testee {
    pub(crate) tasks: TaskTracker,
    held: Mutex<Held>,
}

/// What is found by its name.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) clients: HashMap<String, Client>,
    pub(crate) registrations: HashMap<String, Kept>,
    pub(crate) subscriptions: HashMap<String, Followed>,
    pub(crate) channels: HashMap<String, Arc<Wire>>,
    pending: HashMap<String, CancellationToken>,
}

impl Testee {
    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out one command, in a task of its own.
    pub(crate) fn begin(self: &Arc<Self>, c: Command) {
        let given_up = CancellationToken::new();
        if c.r#do != "cancel" {
            let name = c.name().to_owned();
            self.held().pending.insert(name, given_up.clone());
        }
        let this = self.clone();
        self.tasks.spawn(async move {
            let id = c.id;
            let answer = tokio::select! {
                answer = this.carry_out(c) => answer,
                // Dropping what is under way is how a caller gives up in Rust.
                () = given_up.cancelled() => Err(Failure::Cancelled),
            };
            say::answer(id, answer);
        });
    }

    async fn carry_out(self: &Arc<Self>, c: Command) -> Answer {
        match c.r#do.as_str() {
            "client" => self.new_client(&c),
            "ready" => self.ready(&c).await,
            "status" => self.status(&c),
            "stats" => self.stats(&c),
            "close" => self.close_client(&c).await,
            "register" => self.register(&c).await,
            "registration" => self.registration_now(&c),
            "set" => self.set(&c),
            "flush" => self.flush(&c).await,
            "drain" => self.drain(&c).await,
            "deregister" => self.deregister(&c).await,
            "cancel" => self.cancel(&c),
            "serve" => self.serve(&c).await,
            "stop" => self.stop(&c).await,
            "lookup" => self.lookup(&c).await,
            "subscribe" => self.subscribe(&c),
            "unsubscribe" => self.unsubscribe(&c),
            "view" => self.view(&c),
            "wait" => self.wait(&c).await,
            "picker" => self.add_picker(&c),
            "applied" => self.applied(&c),
            "unpick" => self.close_picker(&c),
            "channel" => self.open_channel(&c),
            "call" => self.call(&c).await,
            "explain" => self.explain(&c),
            "load" => self.load(&c),
            "loaded" => self.loaded(&c).await,
            "hangup" => self.hangup(&c).await,
            other => Err(format!("unknown command {other:?}").into()),
        }
    }

    /// Ends the wait of the command that is under way for a name: `cancel NAME`.
    fn cancel(&self, c: &Command) -> Answer {
        match self.held().pending.get(c.name()) {
            Some(token) => token.cancel(),
            None => return Err(c.missing("command")),
        }
        Ok(Value::Null)
    }

    /// The client that a command is for.
    pub(crate) fn client(&self, c: &Command) -> Result<Client, Failure> {
        let name = if c.client.is_empty() {
            USUAL
        } else {
            &c.client
        };
        match self.held().clients.get(name) {
            Some(client) => Ok(client.clone()),
            None => Err(format!(
                "{}: there is no client named {name}; the command client makes one",
                c.r#do
            )
            .into()),
        }
    }

    pub(crate) fn keep_client(&self, name: &str, client: Client) {
        let name = if name.is_empty() { USUAL } else { name };
        self.held().clients.insert(name.to_owned(), client);
    }

    /// Ends what is still open, as a program does at its end.
    pub(crate) async fn end(&self) {
        let held = std::mem::take(&mut *self.held());
        for kept in held.registrations.values() {
            kept.stop.cancel();
        }
        for wire in held.channels.values() {
            wire.close().await;
        }
        for client in held.clients.values() {
            client.close().await;
        }
        drop(held);
        self.tasks.close();
        self.tasks.wait().await;
    }
}
