//! One event of each kind, for tests of observers: [`Event::samples`].

use std::time::Duration;

use crate::drain::DrainReport;
use crate::event::{ChangeTrace, Event, FrameFault, FrameKind, KeepaliveOutcome, StreamKind};
use crate::freshness::Freshness;
use crate::kinds::Position;
use crate::observer::Header;
use crate::registration::RegistrationState;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const SERVER: &str = "a:1";
const SERVICE: &str = "shop/pay";
const SUBJECT: &str = "shop/pay/pay-1";
const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(1);

impl Event<'_> {
    /// Shows one event of each kind, and more where they differ, to `each`: for tests of observers,
    /// since nobody else can make events.
    pub fn samples(mut each: impl FnMut(&Event<'_>)) {
        calls(&mut each);
        views(&mut each);
        registrations(&mut each);
        picks(&mut each);
    }
}

fn calls(each: &mut impl FnMut(&Event<'_>)) {
    let traced = [Header::new("traceparent", TRACEPARENT)];
    each(&Event::ServerConnected {
        server: SERVER,
        duration: SHORT,
    });
    each(&Event::ServerFailed {
        server: SERVER,
        cause: "connection refused",
        duration: SHORT,
    });
    each(&Event::CallFinished {
        op: "register",
        subject: SUBJECT,
        server: SERVER,
        result: "OK",
        duration: LONG,
        attempts: 2,
        headers: &traced,
    });
    each(&Event::CallFinished {
        op: "lookup",
        subject: SERVICE,
        server: "",
        result: "NO_SERVER",
        duration: LONG,
        attempts: 1,
        headers: &[],
    });
    each(&Event::StreamOpened {
        stream: StreamKind::Watch,
        server: SERVER,
    });
    each(&Event::StreamEnded {
        stream: StreamKind::Watch,
        server: SERVER,
        result: "UNAVAILABLE",
        duration: LONG,
    });
}

fn views(each: &mut impl FnMut(&Event<'_>)) {
    let traces = [(7, TRACEPARENT), (8, "nonsense")].map(|(revision, traceparent)| ChangeTrace {
        revision,
        traceparent: traceparent.to_owned(),
    });
    each(&Event::FrameApplied {
        selector: SERVICE,
        server: SERVER,
        frame: FrameKind::Delta,
        cause: None,
        position: Position::new(1, 8),
        entries: 3,
        age: LONG,
        unverified: false,
        traces: &traces,
    });
    each(&Event::FrameRejected {
        selector: SERVICE,
        server: SERVER,
        fault: FrameFault::Mismatch,
    });
    each(&Event::EpochRegressed {
        server: SERVER,
        from: 2,
        to: 1,
    });
    each(&Event::ViewFreshnessChanged {
        selector: SERVICE,
        from: Freshness::Fresh,
        to: Freshness::Stale,
    });
}

fn registrations(each: &mut impl FnMut(&Event<'_>)) {
    use RegistrationState::{Active, Fenced, Registering, Unconfirmed};
    for (from, to) in [
        (Registering, Active),
        (Active, Unconfirmed),
        (Unconfirmed, Active),
        (Active, Registering),
        (Registering, Active),
        (Active, Fenced),
    ] {
        each(&Event::RegistrationChanged {
            subject: SUBJECT,
            from,
            to,
            reason: "",
        });
    }
    each(&Event::KeepaliveAnswered {
        subject: SUBJECT,
        server: SERVER,
        outcome: KeepaliveOutcome::Confirmed,
        duration: SHORT,
    });
    let report = DrainReport {
        complete: false,
        confirmed: 2,
        behind: 1,
        unconfirmable: 0,
        disconnected: 0,
        behind_watchers: Vec::new(),
        safe_after: Duration::ZERO,
        position: Position::new(1, 8),
        took: LONG,
    };
    each(&Event::DrainFinished {
        subject: SUBJECT,
        result: "OK",
        report: Some(&report),
    });
}

fn picks(each: &mut impl FnMut(&Event<'_>)) {
    each(&Event::RpcFinished {
        service: SERVICE,
        endpoint: "10.0.0.1:80",
        result: "UNAVAILABLE",
        duration: SHORT,
    });
    each(&Event::PickFailed {
        service: SERVICE,
        result: "NO_INSTANCES",
    });
    each(&Event::EndpointEjected {
        service: SERVICE,
        endpoint: "10.0.0.1:80",
        duration: LONG,
    });
    each(&Event::PanicChanged {
        service: SERVICE,
        panic: true,
    });
}
