//! What a client knows, for people: [`Client::report`].

use crate::client::Client;
use crate::messages;
use crate::session_state::Session;
use crate::view::View;

impl Client {
    /// What the client knows, in lines for people: its server, the present outage, each registration
    /// that is alive and each view that is watched. Does no I/O. Programs read `status`, `stats` and
    /// views instead.
    #[must_use]
    pub fn report(&self) -> String {
        let shared = self.shared();
        let mut lines = vec![self.report_self()];
        if let Some(e) = self.status().error {
            lines.push(format!("outage: {}", e.text()));
        }
        let sessions = shared.sessions();
        let mut registrations: Vec<_> = sessions.iter().map(|s| registration(s)).collect();
        registrations.sort();
        lines.extend(registrations);
        let watched = shared.watcher.wanted();
        let mut views: Vec<_> = watched.iter().map(|w| view(&w.view())).collect();
        views.sort();
        lines.extend(views);
        lines.join("\n")
    }

    fn report_self(&self) -> String {
        let config = &self.shared().config;
        let name = format!("client {}", config.name);
        let (name, status) = (name.trim_end(), self.status());
        if config.fixed.all {
            return format!("{name}: no registry");
        }
        let server = status.server;
        match status.cluster_id.as_str() {
            "" => format!("{name}: server {server}, not reached yet"),
            cluster => format!("{name}: server {server}, cluster {cluster}"),
        }
    }
}

fn registration(session: &Session) -> String {
    let status = session.status();
    let mut line = format!("registration {}: {}", session.subject, status.state);
    if !status.lease.is_empty() {
        line += &format!(", lease {}", status.lease);
    }
    if !status.reason.is_empty() {
        line += &format!(": {}", status.reason);
    }
    line
}

fn view(view: &View) -> String {
    let text = format!("view {}: {}", view.selector(), view.intent());
    if !view.is_received() {
        return text;
    }
    let count = view.instances().len();
    let noun = if count == 1 { "instance" } else { "instances" };
    format!(
        "{text}, {count} {noun}, {}, {} old, from {}, {}",
        view.freshness(),
        messages::duration(view.age()),
        view.source(),
        view.position()
    )
}
