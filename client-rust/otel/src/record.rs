//! The measurements of each event.

use std::time::Duration;

use muster_client::{DrainReport, Event, RegistrationState};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

use crate::observer::Observer;

/// Attributes: names with "muster." before them, and values.
fn attributes<const N: usize>(pairs: [(&'static str, &str); N]) -> [KeyValue; N] {
    pairs.map(|(name, value)| KeyValue::new(name, value.to_owned()))
}

fn add<const N: usize>(counter: &Counter<u64>, n: u64, pairs: [(&'static str, &str); N]) {
    counter.add(n, &attributes(pairs));
}

fn record<const N: usize>(
    histogram: &Histogram<f64>,
    duration: Duration,
    pairs: [(&'static str, &str); N],
) {
    histogram.record(duration.as_secs_f64(), &attributes(pairs));
}

const SERVER: &str = "muster.server";
const SERVICE: &str = "muster.service";
const RESULT: &str = "muster.result";
const OUTCOME: &str = "muster.outcome";
const STREAM: &str = "muster.stream";

impl Observer {
    /// Makes an event's measurements.
    pub(crate) fn record(&self, event: &Event<'_>) {
        let i = self.instruments();
        match event {
            Event::ServerConnected {
                server, duration, ..
            } => {
                record(
                    &i.connection_duration,
                    *duration,
                    [(SERVER, server), (RESULT, "OK")],
                );
            }
            Event::ServerFailed {
                server, duration, ..
            } => {
                record(
                    &i.connection_duration,
                    *duration,
                    [(SERVER, server), (RESULT, "FAILED")],
                );
            }
            Event::CallFinished {
                op,
                server,
                result,
                duration,
                attempts,
                ..
            } => {
                let what = [("muster.op", *op), (SERVER, server), (RESULT, result)];
                record(&i.call_duration, *duration, what);
                add(&i.call_attempts, u64::from(*attempts), [("muster.op", op)]);
            }
            Event::StreamOpened { stream, server, .. } => {
                add(
                    &i.stream_opened,
                    1,
                    [(STREAM, stream.as_str()), (SERVER, server)],
                );
            }
            Event::StreamEnded {
                stream,
                server,
                result,
                duration,
                ..
            } => {
                let what = [
                    (STREAM, stream.as_str()),
                    (SERVER, server),
                    (RESULT, result),
                ];
                record(&i.stream_duration, *duration, what);
            }
            Event::KeepaliveAnswered {
                server,
                outcome,
                duration,
                ..
            } => {
                let what = [(SERVER, *server), (OUTCOME, outcome.as_str())];
                record(&i.keepalive_duration, *duration, what);
            }
            Event::RegistrationChanged { from, to, .. } => self.record_registration(*from, *to),
            Event::DrainFinished { result, report, .. } => self.record_drain(result, *report),
            _ => {
                self.record_view(event);
                self.record_pick(event);
            }
        }
    }

    fn record_registration(&self, from: RegistrationState, to: RegistrationState) {
        let i = self.instruments();
        add(&i.registration_changes, 1, [("muster.state", to.as_str())]);
        let change = i64::from(holds_lease(to)) - i64::from(holds_lease(from));
        i.registration_confirmed.add(change, &[]);
    }

    fn record_drain(&self, result: &str, report: Option<&DrainReport>) {
        let i = self.instruments();
        add(&i.drain_finished, 1, [(RESULT, result)]);
        let Some(report) = report else {
            return;
        };
        for (outcome, count) in [
            ("CONFIRMED", report.confirmed),
            ("BEHIND", report.behind),
            ("UNCONFIRMABLE", report.unconfirmable),
            ("DISCONNECTED", report.disconnected),
        ] {
            if count > 0 {
                add(&i.drain_watchers, u64::from(count), [(OUTCOME, outcome)]);
            }
        }
    }

    fn record_view(&self, event: &Event<'_>) {
        let i = self.instruments();
        match event {
            Event::FrameApplied {
                frame,
                entries,
                age,
                ..
            } => {
                let what = [("muster.frame", frame.as_str())];
                add(&i.frame_applied, 1, what);
                add(&i.frame_entries, *entries as u64, what);
                record(&i.frame_age, *age, what);
            }
            Event::FrameRejected { fault, .. } => {
                add(&i.frame_rejected, 1, [("muster.fault", fault.as_str())]);
            }
            Event::EpochRegressed { .. } => add(&i.epoch_regressed, 1, []),
            Event::ViewFreshnessChanged { to, .. } => {
                add(&i.view_freshness, 1, [("muster.freshness", to.as_str())]);
            }
            _ => {}
        }
    }

    fn record_pick(&self, event: &Event<'_>) {
        let i = self.instruments();
        match event {
            Event::RpcFinished {
                service,
                result,
                duration,
                ..
            } => {
                record(
                    &i.rpc_duration,
                    *duration,
                    [(SERVICE, service), (RESULT, result)],
                );
            }
            Event::PickFailed {
                service, result, ..
            } => {
                add(&i.pick_failed, 1, [(SERVICE, service), (RESULT, result)]);
            }
            Event::EndpointEjected { service, .. } => {
                add(&i.endpoint_ejected, 1, [(SERVICE, service)]);
            }
            Event::PanicChanged {
                service,
                panic: true,
                ..
            } => {
                add(&i.panic_entered, 1, [(SERVICE, service)]);
            }
            _ => {}
        }
    }
}

fn holds_lease(state: RegistrationState) -> bool {
    matches!(
        state,
        RegistrationState::Active | RegistrationState::Unconfirmed
    )
}
