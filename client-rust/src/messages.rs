//! Every text that users read. In one file, because both clients must say the same.
//!
//! The texts are without the prefix `muster: ` and the reason in brackets, which
//! [`Error`](crate::Error) adds.

use std::path::Path;
use std::time::Duration;

use crate::drain::{DrainReport, DrainWatcher};
use crate::error::Error;

/// A duration as people read it: `38ms`, `1.9s`, `41s`, `2m05s`, `3h12m`.
pub(crate) fn duration(d: Duration) -> String {
    let ms = d.as_millis();
    let s = d.as_secs();
    let tenth = (ms / 100) % 10;
    if ms < 1_000 {
        format!("{ms}ms")
    } else if ms < 10_000 && tenth > 0 {
        format!("{s}.{tenth}s")
    } else if s < 60 {
        format!("{s}s")
    } else if s < 3_600 {
        format!("{}m{:02}s", s / 60, s % 60)
    } else {
        format!("{}h{:02}m", s / 3_600, (s / 60) % 60)
    }
}

/// The first four characters of a lease id, which is a secret.
pub(crate) fn short_lease(lease_id: &str) -> &str {
    let end = lease_id
        .char_indices()
        .nth(4)
        .map_or(lease_id.len(), |(i, _)| i);
    &lease_id[..end]
}

/// No server answers. `causes` has each server's address and last error.
pub(crate) fn no_server(
    causes: &[(String, String)],
    attempts: u32,
    elapsed: Duration,
    retrying: bool,
) -> String {
    let list: Vec<String> = causes
        .iter()
        .map(|(address, cause)| format!("{address} ({cause})"))
        .collect();
    let attempts = if attempts == 1 {
        "1 attempt".to_owned()
    } else {
        format!("{attempts} attempts")
    };
    let end = if retrying {
        "still retrying"
    } else {
        "gave up"
    };
    format!(
        "no registry server reachable: {}; {attempts} in {}, {end}. Is \"muster server\" running?",
        list.join(", "),
        duration(elapsed)
    )
}

/// An endpoint's address that nobody else can dial.
pub(crate) fn undialable(endpoint: &str, service: &str, address: &str) -> String {
    format!(
        "endpoint \"{endpoint}\" of {service}: address {address} cannot be dialled by others; pass a reachable \
         address or use advertise_from(listener)"
    )
}

/// A field of a request that breaks a rule.
pub(crate) fn invalid(object: &str, field: &str, value: &str, allowed: &str) -> String {
    format!("{object}: {field} \"{value}\" is not allowed: {allowed}")
}

/// The service was never registered. `similar` may be empty.
pub(crate) fn service_unknown(
    service: &str,
    epoch: u64,
    revision: u64,
    similar: &[String],
) -> String {
    let mut text = format!(
        "service \"{service}\" has never been registered (epoch {epoch}, revision {revision})"
    );
    if !similar.is_empty() {
        text.push_str("; similar: ");
        text.push_str(&similar.join(", "));
    }
    text
}

/// The service is empty since its last instance went. `how` is such as "deregistered".
pub(crate) fn last_one_went(
    service: &str,
    how: &str,
    ago: Option<Duration>,
    instance: &str,
    revision: u64,
) -> String {
    let ago = ago.map_or(String::new(), |d| format!(" {} ago", duration(d)));
    format!("{service} has no instances: the last one {how}{ago} ({instance}, revision {revision})")
}

/// The service has no instances, for a reason other than that the last one went.
pub(crate) fn no_instances(service: &str, why: &str) -> String {
    format!("{service} has no instances: {why}")
}

/// Nothing was received yet.
pub(crate) fn no_view_yet(what: &str) -> String {
    format!("no view of {what} yet")
}

/// A service that may not be seen.
pub(crate) fn service_forbidden(service: &str) -> String {
    format!("{service} may not be seen with these credentials")
}

/// Too few instances when the wait ended.
pub(crate) fn too_few(selector: &str, have: usize, want: usize, waited: Duration) -> String {
    format!(
        "{selector} has {have} of {want} wanted instances after {}; still watching",
        duration(waited)
    )
}

/// A client that watches all that it can.
pub(crate) fn too_many_selectors(
    selector: &str,
    watched: usize,
    streams: usize,
    per_stream: usize,
) -> String {
    format!(
        "subscribe {selector}: {watched} selectors are watched already, and {streams} streams of {per_stream} are the most; \
         close subscriptions, or name several services in one selector"
    )
}

/// No view arrived before the wait ended. `last` is the last error of the stream.
pub(crate) fn no_view(selector: &str, waited: Duration, last: Option<&str>) -> String {
    let last = last.map_or(String::new(), |e| format!(" (last error: {e})"));
    format!(
        "no view of {selector} within {}{last}; still retrying",
        duration(waited)
    )
}

/// A lease expired while the process did not run.
pub(crate) fn lease_expired(old: &str, ago: Duration, new: &str) -> String {
    format!(
        "lease {} expired {} ago while this process was not running; re-registered as {} [LEASE_EXPIRED]",
        short_lease(old),
        duration(ago),
        short_lease(new)
    )
}

/// A lease was lost for any other reason.
pub(crate) fn lease_lost(old: &str, new: &str) -> String {
    format!(
        "lease {} was lost; re-registered as {} [LEASE_UNKNOWN]",
        short_lease(old),
        short_lease(new)
    )
}

/// A lease is lost, and nothing took its place yet.
pub(crate) fn lease_gone(lease: &str) -> String {
    format!("lease {} was lost; registering again", short_lease(lease))
}

/// A newer lease holds the instance.
pub(crate) fn fenced(lease: Option<&str>, incarnation: Option<&str>, from: Option<&str>) -> String {
    let by = match (lease, incarnation) {
        (Some(lease), _) => format!("lease {}", short_lease(lease)),
        (None, Some(incarnation)) => format!("incarnation {incarnation}"),
        (None, None) => "a newer lease".to_owned(),
    };
    let from = from.map_or(String::new(), |address| format!(" from {address}"));
    format!("fenced by {by}{from}; giving up")
}

/// How a drain ended. Logged by `serve`.
pub(crate) fn drained(report: &DrainReport) -> String {
    let all = report.confirmed + report.behind;
    let took = duration(report.took);
    if report.complete {
        return format!(
            "drained: {}/{all} watchers confirmed in {took}",
            report.confirmed
        );
    }
    let mut text = format!("{} of {all} unconfirmed after {took}", report.behind);
    let watchers = report.behind_watchers.iter();
    let names: Vec<&str> = watchers.map(DrainWatcher::called).collect();
    if !names.is_empty() {
        text += &format!(": {}", names.join(", "));
    }
    if report.behind as usize > names.len() {
        text += " …";
    }
    text
}

/// A server of another cluster answered.
pub(crate) fn wrong_cluster(server: &str, theirs: &str, ours: &str) -> String {
    format!(
        "server {server} belongs to cluster {theirs}, expected {ours}; trying others. Check the server list"
    )
}

/// A server without TLS.
#[cfg(feature = "tls-ring")]
pub(crate) fn plaintext(server: &str) -> String {
    format!("server {server} speaks plaintext, TLS was configured")
}

/// A server whose certificate is for other names.
#[cfg(feature = "tls-ring")]
pub(crate) fn wrong_name(server: &str, wanted: &str, names: &[String]) -> String {
    let presented = if names.is_empty() {
        "no name".to_owned()
    } else {
        names.join(", ")
    };
    format!("server {server} has a certificate for {presented}, {wanted} was wanted")
}

/// A server whose certificate nobody trusted has signed.
#[cfg(feature = "tls-ring")]
pub(crate) fn unknown_authority(server: &str) -> String {
    format!(
        "server {server} has a certificate of an authority that is not trusted; see the CA file"
    )
}

/// A server whose certificate is too old, or too new.
#[cfg(feature = "tls-ring")]
pub(crate) fn certificate_expired(server: &str) -> String {
    format!("server {server} has a certificate that has expired or is not valid yet")
}

/// A file of a setting that cannot be used.
#[cfg(feature = "tls-ring")]
pub(crate) fn file(option: &str, path: &str, why: &str) -> String {
    format!("option {option}: file {path} cannot be used: {why}")
}

/// Renewed files that cannot be used.
#[cfg(feature = "tls-ring")]
pub(crate) fn keeps_tls(why: &str) -> String {
    format!("{why}; the certificates from before stay in use")
}

/// A token source that failed.
pub(crate) fn no_token(why: &str) -> String {
    format!("no token to call the registry with: {why}; check the token source")
}

/// A server that speaks another protocol.
pub(crate) fn protocol_not_served(server: &str, oldest: u32, newest: u32, ours: u32) -> String {
    format!(
        "server {server} serves protocol versions {oldest} to {newest}, this client speaks {ours}; upgrade one of \
         them"
    )
}

/// A setting of the client that is wrong.
pub(crate) fn option(name: &str, value: &str, allowed: &str) -> String {
    format!("option {name}: {value} is not allowed; {allowed}")
}

/// The error of a setting that is wrong.
pub(crate) fn option_error(name: &str, value: &str, allowed: &str) -> Error {
    use crate::error::Reason;
    Error::new(Reason::InvalidArgument, option(name, value, allowed)).about("new", name)
}

/// What a server said, or what became of the connection to it.
pub(crate) fn server_error(op: &str, subject: &str, server: &str, message: &str) -> String {
    format!("{}: server {server}: {message}", what(op, subject))
}

/// A cache directory that does not do its work.
pub(crate) fn cache_failed(dir: &Path, cause: &str) -> String {
    format!(
        "cache {}: {cause}; views are not kept on disk until that passes",
        dir.display()
    )
}

/// A cache file that is of no use.
pub(crate) fn cache_set_aside(dir: &Path, file: &str, aside: &str, why: &str) -> String {
    format!(
        "cache {}: {file} cannot be used ({why}); set aside as {aside}",
        dir.display()
    )
}

/// A service that the registry is not asked for.
pub(crate) fn overridden(service: &str, addresses: &[&str]) -> String {
    let by = if addresses.is_empty() {
        "nothing".to_owned()
    } else {
        addresses.join(", ")
    };
    format!("{service} is overridden by {by}; the registry is not asked for it")
}

/// What a client without a registry cannot do.
pub(crate) fn no_registry(op: &str, subject: &str) -> String {
    format!(
        "{}: this client was given its instances and has no registry; make one by Client::builder",
        what(op, subject)
    )
}

/// A service that a client without a registry does not have.
pub(crate) fn not_given(service: &str) -> String {
    format!("service \"{service}\" is not among those that this client was given")
}

/// Too few instances among those that were given.
pub(crate) fn too_few_given(selector: &str, have: usize, want: usize) -> String {
    format!(
        "{selector} has {have} of {want} wanted instances; they were given to this client and do not change"
    )
}

/// Anything after the end. `object` is such as "client".
pub(crate) fn closed(object: &str) -> String {
    format!("{object} is closed")
}

/// A server that said nothing.
pub(crate) fn no_answer(waited: Duration) -> String {
    format!("no answer within {}", duration(waited))
}

/// A call whose time ran out. `last` is the last error that it met.
pub(crate) fn gave_up(op: &str, subject: &str, last: Option<&str>) -> String {
    let last = last.map_or(String::new(), |e| format!("; last: {e}"));
    format!("{}: the deadline passed{last}", what(op, subject))
}

/// A call whose deadline comes before its next attempt.
pub(crate) fn too_late(op: &str, subject: &str, last: &str) -> String {
    format!(
        "{}: the deadline leaves no time to try again; last: {last}",
        what(op, subject)
    )
}

/// What a registration that was given up leaves behind.
pub(crate) fn withdrawn(subject: &str, last: Option<&str>) -> String {
    let last = last.map_or(String::new(), |e| format!("; last: {e}"));
    format!("register {subject}: the deadline passed{last}; nothing stays registered")
}

/// A lease that ended while its instances drained.
pub(crate) fn lost_while_draining(lease: &str) -> String {
    format!(
        "lease {} was lost while draining; not registered again",
        short_lease(lease)
    )
}

/// A server that cannot tell whether a lease lives.
pub(crate) fn unconfirmed(reason: &str, retry: Duration) -> String {
    format!(
        "the server cannot confirm the lease ({reason}); next try in {}",
        duration(retry)
    )
}

/// A stream that broke. Names what it was for, unless the error does so itself.
pub(crate) fn broken(op: &str, error: &Error) -> String {
    let text = error.text();
    if text.starts_with(&format!("{op}: ")) {
        return text;
    }
    format!("{op}: {text}")
}

/// A keepalive without answer.
pub(crate) fn unanswered(server: &str, waited: Duration) -> String {
    format!(
        "server {server} left a keepalive unanswered for {}",
        duration(waited)
    )
}

/// A watch stream without frames.
pub(crate) fn quiet_stream(server: &str, waited: Duration) -> String {
    format!("server {server} sent no frame for {}", duration(waited))
}

/// A server whose history is older than one seen before.
pub(crate) fn epoch_behind(server: &str, theirs: u64, seen: u64) -> String {
    format!("server {server} serves epoch {theirs}, epoch {seen} was seen before")
}

/// A server that broke a rule.
pub(crate) fn violation(server: &str, what: &str) -> String {
    format!("server {server} broke the protocol: {what}")
}

fn what(op: &str, subject: &str) -> String {
    if subject.is_empty() {
        op.to_owned()
    } else {
        format!("{op} {subject}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    #[test]
    fn durations_read_well() {
        for (ms, want) in [
            (0, "0ms"),
            (38, "38ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (1_900, "1.9s"),
            (1_949, "1.9s"),
            (5_000, "5s"),
            (9_999, "9.9s"),
            (12_345, "12s"),
            (41_000, "41s"),
            (125_000, "2m05s"),
            (11_520_000, "3h12m"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), want);
        }
    }

    #[test]
    fn story_1_registry_not_running() {
        let text = no_server(
            &[("127.0.0.1:7070".into(), "connection refused".into())],
            3,
            Duration::from_millis(1_900),
            true,
        );
        assert_eq!(
            Error::new(Reason::NoServer, text).to_string(),
            "muster: no registry server reachable: 127.0.0.1:7070 (connection refused); 3 attempts in 1.9s, \
             still retrying. Is \"muster server\" running? [NO_SERVER]"
        );
    }

    #[test]
    fn story_2_undialable_address() {
        assert_eq!(
            Error::new(
                Reason::InvalidEndpoint,
                undialable("grpc", "shop/pay", "0.0.0.0:8080")
            )
            .to_string(),
            "muster: endpoint \"grpc\" of shop/pay: address 0.0.0.0:8080 cannot be dialled by others; pass a \
             reachable address or use advertise_from(listener) [INVALID_ENDPOINT]"
        );
    }

    #[test]
    fn story_7_typo_in_a_name() {
        assert_eq!(
            service_unknown("shop/paymnets", 7, 812, &["shop/payments".into()]),
            "service \"shop/paymnets\" has never been registered (epoch 7, revision 812); similar: shop/payments"
        );
    }

    #[test]
    fn story_8_nobody_running() {
        assert_eq!(
            last_one_went(
                "shop/pay",
                "deregistered",
                Some(Duration::from_secs(12)),
                "pay-7",
                811
            ),
            "shop/pay has no instances: the last one deregistered 12s ago (pay-7, revision 811)"
        );
    }

    #[test]
    fn story_11_drain() {
        let mut report = DrainReport {
            complete: true,
            confirmed: 14,
            behind: 0,
            unconfirmable: 0,
            disconnected: 0,
            behind_watchers: vec![],
            safe_after: Duration::ZERO,
            position: crate::Position::default(),
            took: Duration::from_millis(38),
        };
        assert_eq!(
            drained(&report),
            "drained: 14/14 watchers confirmed in 38ms"
        );
        report.complete = false;
        report.confirmed = 12;
        report.behind = 2;
        report.took = Duration::from_secs(5);
        report.behind_watchers = vec![DrainWatcher {
            client_name: "go-orders-3".into(),
            address: "10.0.0.9:40000".into(),
        }];
        assert_eq!(
            drained(&report),
            "2 of 14 unconfirmed after 5s: go-orders-3 …"
        );
        report.behind_watchers[0].client_name.clear();
        assert_eq!(
            drained(&report),
            "2 of 14 unconfirmed after 5s: 10.0.0.9:40000 …"
        );
        report.behind_watchers.clear();
        assert_eq!(drained(&report), "2 of 14 unconfirmed after 5s …");
    }

    #[test]
    fn story_12_paused_process() {
        assert_eq!(
            lease_expired("9f3cabcd", Duration::from_secs(41), "9f40ffff"),
            "lease 9f3c expired 41s ago while this process was not running; re-registered as 9f40 [LEASE_EXPIRED]"
        );
        assert_eq!(
            lease_lost("9f3cabcd", "9f40ffff"),
            "lease 9f3c was lost; re-registered as 9f40 [LEASE_UNKNOWN]"
        );
    }

    #[test]
    fn story_13_fenced() {
        let text = |lease, incarnation, from| {
            Error::new(Reason::Fenced, fenced(lease, incarnation, from)).to_string()
        };
        assert_eq!(
            text(Some("9f40"), Some("812"), Some("10.0.3.7:51122")),
            "muster: fenced by lease 9f40 from 10.0.3.7:51122; giving up [FENCED]"
        );
        assert_eq!(
            text(None, Some("812"), None),
            "muster: fenced by incarnation 812; giving up [FENCED]"
        );
        assert_eq!(
            text(None, None, None),
            "muster: fenced by a newer lease; giving up [FENCED]"
        );
    }
}
