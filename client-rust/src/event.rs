//! What an [`Observer`](crate::Observer) is told: [`Event`].

use std::fmt;
use std::time::Duration;

use crate::drain::DrainReport;
use crate::freshness::Freshness;
use crate::kinds::{Position, SnapshotCause};
use crate::observer::Header;
use crate::registration::RegistrationState;

/// What an [`Observer`](crate::Observer) is told. Later versions add variants, and fields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A server of the list answered on a new connection.
    #[non_exhaustive]
    ServerConnected {
        /// Its address.
        server: &'a str,
        /// How long connecting took.
        duration: Duration,
    },
    /// An attempt to reach a server failed.
    #[non_exhaustive]
    ServerFailed {
        /// Its address.
        server: &'a str,
        /// Why, for people.
        cause: &'a str,
        /// How long it took to fail.
        duration: Duration,
    },
    /// A call to the registry ended. What a registration does by itself (register, update,
    /// deregister) is told attempt by attempt.
    #[non_exhaustive]
    CallFinished {
        /// What was attempted, such as `register`.
        op: &'a str,
        /// What it was about, such as `shop/pay/pay-7`.
        subject: &'a str,
        /// The address of the last server that was asked; empty if none was.
        server: &'a str,
        /// `OK`, or the reason of the error, or its code if it has none.
        result: &'a str,
        /// How long it took, with all attempts and the waits between.
        duration: Duration,
        /// The attempts that were made, at least 1.
        attempts: u32,
        /// What [`Observer::headers`](crate::Observer::headers) gave for it.
        headers: &'a [Header],
    },
    /// A stream to a server was opened.
    #[non_exhaustive]
    StreamOpened {
        /// Which one.
        stream: StreamKind,
        /// The server's address.
        server: &'a str,
    },
    /// A stream that was opened ended.
    #[non_exhaustive]
    StreamEnded {
        /// Which one.
        stream: StreamKind,
        /// The server's address.
        server: &'a str,
        /// `OK` if it was left by choice, else the reason or code of the error.
        result: &'a str,
        /// How long it lived.
        duration: Duration,
    },
    /// A view took over a complete update.
    #[non_exhaustive]
    FrameApplied {
        /// The selector of the view.
        selector: &'a str,
        /// The server that sent it.
        server: &'a str,
        /// Its kind.
        frame: FrameKind,
        /// Why it was sent whole; none unless it is a snapshot.
        cause: Option<SnapshotCause>,
        /// Where the view is now.
        position: Position,
        /// Entries of the update: instances, service states and removals.
        entries: usize,
        /// The age of the data when it was applied.
        age: Duration,
        /// Whether the view's digest did not match.
        unverified: bool,
        /// Traces of the changes, as far as their callers sent any.
        traces: &'a [ChangeTrace],
    },
    /// An update was not applied; its stream ends.
    #[non_exhaustive]
    FrameRejected {
        /// The selector of the view; of a lookup, if it was its answer.
        selector: &'a str,
        /// The server that sent it.
        server: &'a str,
        /// Why.
        fault: FrameFault,
    },
    /// A server of an older history had to be accepted.
    #[non_exhaustive]
    EpochRegressed {
        /// The server that serves it.
        server: &'a str,
        /// The epoch that was known.
        from: u64,
        /// The lower one.
        to: u64,
    },
    /// A view became less, or again more, trustworthy. A view begins as EXPIRED.
    #[non_exhaustive]
    ViewFreshnessChanged {
        /// The selector of the view.
        selector: &'a str,
        /// What it was.
        from: Freshness,
        /// What it is.
        to: Freshness,
    },
    /// The state of a registration changed.
    #[non_exhaustive]
    RegistrationChanged {
        /// Its first instance, such as `shop/pay/pay-7`.
        subject: &'a str,
        /// What it was.
        from: RegistrationState,
        /// What it is.
        to: RegistrationState,
        /// Why, for people; empty while everything is well.
        reason: &'a str,
    },
    /// The registry answered the keepalive of one lease.
    #[non_exhaustive]
    KeepaliveAnswered {
        /// The first instance of its registration.
        subject: &'a str,
        /// The server that answered.
        server: &'a str,
        /// What it said.
        outcome: KeepaliveOutcome,
        /// How long the answer took.
        duration: Duration,
    },
    /// A drain ended.
    #[non_exhaustive]
    DrainFinished {
        /// The registration's first instance.
        subject: &'a str,
        /// `OK` if there is a report, else the reason or code of the error.
        result: &'a str,
        /// How it ended; none unless `result` is `OK`.
        report: Option<&'a DrainReport>,
    },
    /// An RPC of a channel ended.
    #[non_exhaustive]
    RpcFinished {
        /// The service that was called, such as `shop/pay`.
        service: &'a str,
        /// The endpoint that was picked, `host:port`.
        endpoint: &'a str,
        /// `OK` or the name of the status code, such as `UNAVAILABLE`.
        result: &'a str,
        /// From the pick to the end of the RPC.
        duration: Duration,
    },
    /// An RPC failed because no instance could be picked.
    #[non_exhaustive]
    PickFailed {
        /// The service that was called.
        service: &'a str,
        /// The reason, such as `NO_INSTANCES`.
        result: &'a str,
    },
    /// An endpoint that failed calls is not picked for a while.
    #[non_exhaustive]
    EndpointEjected {
        /// The service it belongs to.
        service: &'a str,
        /// Its `host:port`.
        endpoint: &'a str,
        /// How long it stays out.
        duration: Duration,
    },
    /// A channel began, or ceased, to pick unhealthy instances because too few others are left.
    #[non_exhaustive]
    PanicChanged {
        /// The service that is called.
        service: &'a str,
        /// Whether it does now.
        panic: bool,
    },
}

/// Joins a change to the trace of the call that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangeTrace {
    /// The revision of the change.
    pub revision: u64,
    /// The W3C trace context of the call.
    pub traceparent: String,
}

/// Defines an enum whose variants have names that both clients print.
macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The name that both clients print.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

named_enum! {
    /// The streams of a client.
    StreamKind {
        /// Carries the views.
        Watch = "WATCH",
        /// Renews the leases.
        Keepalive = "KEEPALIVE",
    }
}

named_enum! {
    /// The frames that views are made of.
    FrameKind {
        /// Replaced the view.
        Snapshot = "SNAPSHOT",
        /// Changed some of it.
        Delta = "DELTA",
        /// Moved it to a later revision without a change.
        Progress = "PROGRESS",
    }
}

named_enum! {
    /// Why frames are not applied. The view stays as it was.
    FrameFault {
        /// It starts elsewhere than the view is.
        Gap = "GAP",
        /// The server broke a rule.
        Violation = "VIOLATION",
        /// Digest or count do not match.
        Mismatch = "MISMATCH",
    }
}

named_enum! {
    /// What answers say of leases.
    KeepaliveOutcome {
        /// It lives for another TTL.
        Confirmed = "CONFIRMED",
        /// Nobody knows; ask again.
        Unconfirmed = "UNCONFIRMED",
        /// It is gone.
        Lost = "LOST",
    }
}
