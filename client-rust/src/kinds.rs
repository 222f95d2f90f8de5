//! The small value types of the vocabulary, and their form on the wire.

use std::fmt;

use muster_proto::v1;

/// Defines an enum of ours for an enum of the contract. The first variant stands for "not said" and
/// for numbers that this version does not know.
macro_rules! wire_enum {
    (
        $(#[$doc:meta])* $name:ident = $proto:ty, otherwise $default:ident;
        $($(#[$vdoc:meta])* $variant:ident = $number:path, $text:literal;)*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The name in the protocol, without its prefix.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            #[allow(dead_code, reason = "not every kind travels in both directions")]
            pub(crate) fn to_wire(self) -> i32 {
                match self { $($name::$variant => $number as i32,)* }
            }

            #[allow(dead_code, reason = "not every kind travels in both directions")]
            pub(crate) fn from_wire(number: i32) -> Self {
                match <$proto>::try_from(number) {
                    $(Ok($number) => $name::$variant,)*
                    _ => $name::$default,
                }
            }
        }

        impl Default for $name {
            fn default() -> Self { $name::$default }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

wire_enum! {
    /// What an instance is doing with its life.
    Lifecycle = v1::Lifecycle, otherwise Serving;
    /// Registered, not ready yet: never picked.
    Starting = v1::Lifecycle::Starting, "STARTING";
    /// Takes requests.
    Serving = v1::Lifecycle::Serving, "SERVING";
    /// Still registered, takes no new requests: never picked.
    Draining = v1::Lifecycle::Draining, "DRAINING";
}

wire_enum! {
    /// How well an instance does. Later is worse.
    Health = v1::Health, otherwise Healthy;
    /// Works.
    Healthy = v1::Health::Healthy, "HEALTHY";
    /// Works, but prefer others.
    Degraded = v1::Health::Degraded, "DEGRADED";
    /// Does not work: picked only in panic mode.
    Unhealthy = v1::Health::Unhealthy, "UNHEALTHY";
}

wire_enum! {
    /// Who speaks of an instance's health.
    HealthSource = v1::HealthSource, otherwise Other;
    /// A source that this version does not know.
    Other = v1::HealthSource::Unspecified, "OTHER";
    /// The process itself.
    OwnReport = v1::HealthSource::Self_, "SELF";
    /// The registry's active check.
    Check = v1::HealthSource::Check, "CHECK";
    /// The registry, judging by a keepalive stream that broke.
    Connection = v1::HealthSource::Connection, "CONNECTION";
    /// An operator.
    Operator = v1::HealthSource::Operator, "OPERATOR";
}

wire_enum! {
    /// What an endpoint speaks.
    Protocol = v1::Protocol, otherwise Grpc;
    /// gRPC over HTTP/2.
    Grpc = v1::Protocol::Grpc, "GRPC";
    /// HTTP of any version.
    Http = v1::Protocol::Http, "HTTP";
    /// A byte stream of the users' own.
    Tcp = v1::Protocol::Tcp, "TCP";
    /// Datagrams of the users' own.
    Udp = v1::Protocol::Udp, "UDP";
}

wire_enum! {
    /// How an endpoint is dialled.
    Security = v1::TransportSecurity, otherwise Plaintext;
    /// Without encryption.
    Plaintext = v1::TransportSecurity::Plaintext, "PLAINTEXT";
    /// With TLS.
    Tls = v1::TransportSecurity::Tls, "TLS";
    /// With TLS and a certificate of the client.
    MutualTls = v1::TransportSecurity::MutualTls, "MUTUAL_TLS";
}

wire_enum! {
    /// Why an entry left a view. The chosen end and the missed TTL stay distinct.
    RemovalReason = v1::RemovalReason, otherwise Unknown;
    /// The holder of the lease ended it.
    Deregistered = v1::RemovalReason::Deregistered, "DEREGISTERED";
    /// The lease missed its TTL.
    Expired = v1::RemovalReason::Expired, "EXPIRED";
    /// The region that the entry was imported from withdrew it.
    OriginLost = v1::RemovalReason::OriginLost, "ORIGIN_LOST";
    /// It still exists, but no longer matches the selector or may no longer be seen.
    FilteredOut = v1::RemovalReason::FilteredOut, "FILTERED_OUT";
    /// Nobody knows why any more.
    Unknown = v1::RemovalReason::Unknown, "UNKNOWN";
    /// It was absent from a snapshot that replaced the view. Given by this client.
    SnapshotAbsent = v1::RemovalReason::SnapshotAbsent, "SNAPSHOT_ABSENT";
}

wire_enum! {
    /// Why a set was sent whole.
    SnapshotCause = v1::SnapshotCause, otherwise First;
    /// This client had no position to resume from.
    First = v1::SnapshotCause::First, "FIRST";
    /// The history that this client knew is over.
    NewEpoch = v1::SnapshotCause::NewEpoch, "NEW_EPOCH";
    /// This client may see something else than before.
    AccessChanged = v1::SnapshotCause::AccessChanged, "ACCESS_CHANGED";
    /// The position belonged to another selector.
    SelectorChanged = v1::SnapshotCause::SelectorChanged, "SELECTOR_CHANGED";
    /// The registry lost history within the epoch.
    HistoryLost = v1::SnapshotCause::HistoryLost, "HISTORY_LOST";
    /// The server's logs no longer reach back to the position.
    HistoryCompacted = v1::SnapshotCause::HistoryCompacted, "HISTORY_COMPACTED";
}

/// A place in the registry's history. Only positions of one epoch can be compared by revision; a
/// higher epoch is a newer history. Ordered by epoch, then revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The history.
    pub epoch: u64,
    /// The commit within it.
    pub revision: u64,
}

impl Position {
    /// A position.
    #[must_use]
    pub fn new(epoch: u64, revision: u64) -> Position {
        Position { epoch, revision }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, revision {}", self.epoch, self.revision)
    }
}

/// A time by the registry's clock, for people only: nothing may be decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: i32,
}

impl From<&prost_types::Timestamp> for Timestamp {
    fn from(t: &prost_types::Timestamp) -> Timestamp {
        Timestamp {
            seconds: t.seconds,
            nanos: t.nanos,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_keep_their_number_and_name() {
        assert_eq!(
            v1::Lifecycle::try_from(Lifecycle::Draining.to_wire())
                .expect("known")
                .as_str_name(),
            "LIFECYCLE_DRAINING"
        );
        for h in [Health::Healthy, Health::Degraded, Health::Unhealthy] {
            assert_eq!(Health::from_wire(h.to_wire()), h);
        }
        assert_eq!(
            Health::from_wire(0),
            Health::Healthy,
            "not said reads as healthy"
        );
        assert_eq!(Lifecycle::from_wire(77), Lifecycle::Serving);
        assert_eq!(RemovalReason::from_wire(0), RemovalReason::Unknown);
        assert!(Position::new(2, 1) > Position::new(1, 900));
    }
}
