//! The instruments of docs/telemetry.md, in its order, without the gauges.

use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

/// The beginning of every metric's name.
pub(crate) const PREFIX: &str = "muster.client.";

pub(crate) struct Instruments {
    pub(crate) connection_duration: Histogram<f64>,
    pub(crate) call_duration: Histogram<f64>,
    pub(crate) call_attempts: Counter<u64>,
    pub(crate) stream_opened: Counter<u64>,
    pub(crate) stream_duration: Histogram<f64>,
    pub(crate) frame_applied: Counter<u64>,
    pub(crate) frame_entries: Counter<u64>,
    pub(crate) frame_age: Histogram<f64>,
    pub(crate) frame_rejected: Counter<u64>,
    pub(crate) epoch_regressed: Counter<u64>,
    pub(crate) view_freshness: Counter<u64>,
    pub(crate) registration_changes: Counter<u64>,
    pub(crate) registration_confirmed: UpDownCounter<i64>,
    pub(crate) keepalive_duration: Histogram<f64>,
    pub(crate) drain_finished: Counter<u64>,
    pub(crate) drain_watchers: Counter<u64>,
    pub(crate) rpc_duration: Histogram<f64>,
    pub(crate) pick_failed: Counter<u64>,
    pub(crate) endpoint_ejected: Counter<u64>,
    pub(crate) panic_entered: Counter<u64>,
}

impl Instruments {
    pub(crate) fn new(meter: &Meter) -> Instruments {
        let name = |name: &str| format!("{PREFIX}{name}");
        let counter = |n, unit| meter.u64_counter(name(n)).with_unit(unit).build();
        let seconds = |n| meter.f64_histogram(name(n)).with_unit("s").build();
        let up_down = |n, unit| meter.i64_up_down_counter(name(n)).with_unit(unit).build();
        Instruments {
            connection_duration: seconds("connection.duration"),
            call_duration: seconds("call.duration"),
            call_attempts: counter("call.attempts", "{attempt}"),
            stream_opened: counter("stream.opened", "{stream}"),
            stream_duration: seconds("stream.duration"),
            frame_applied: counter("frame.applied", "{frame}"),
            frame_entries: counter("frame.entries", "{entry}"),
            frame_age: seconds("frame.age"),
            frame_rejected: counter("frame.rejected", "{frame}"),
            epoch_regressed: counter("epoch.regressed", "{regression}"),
            view_freshness: counter("view.freshness", "{change}"),
            registration_changes: counter("registration.changes", "{change}"),
            registration_confirmed: up_down("registration.confirmed", "{registration}"),
            keepalive_duration: seconds("keepalive.duration"),
            drain_finished: counter("drain.finished", "{drain}"),
            drain_watchers: counter("drain.watchers", "{watcher}"),
            rpc_duration: seconds("rpc.duration"),
            pick_failed: counter("pick.failed", "{pick}"),
            endpoint_ejected: counter("endpoint.ejected", "{ejection}"),
            panic_entered: counter("panic.entered", "{panic}"),
        }
    }
}
