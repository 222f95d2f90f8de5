//! The observer itself.

use std::fmt;
use std::sync::Arc;

use muster_client::{Client, Event, Header};
use opentelemetry::global::{BoxedTracer, ObjectSafeTracer};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::{Span, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, global};

use crate::instruments::{Instruments, PREFIX};
use crate::trace_context;

/// Records metrics and spans of what a client does. Clones are handles of one observer, which may
/// serve several clients.
#[derive(Clone)]
pub struct Observer {
    parts: Arc<Parts>,
}

struct Parts {
    meter: Meter,
    tracer: BoxedTracer,
    instruments: Instruments,
}

impl Default for Observer {
    fn default() -> Observer {
        Observer::new()
    }
}

impl Observer {
    /// Makes an observer that records by the global providers, as they are now.
    #[must_use]
    pub fn new() -> Observer {
        let meter = global::meter_with_scope(scope());
        Observer::of(meter, global::tracer_with_scope(scope()))
    }

    /// Makes an observer that records by these providers.
    #[must_use]
    pub fn with_providers<T>(meters: &dyn MeterProvider, tracers: &T) -> Observer
    where
        T: TracerProvider,
        T::Tracer: Send + Sync + 'static,
        <T::Tracer as Tracer>::Span: Span + Send + Sync + 'static,
    {
        let tracer: Box<dyn ObjectSafeTracer + Send + Sync> =
            Box::new(tracers.tracer_with_scope(scope()));
        let meter = meters.meter_with_scope(scope());
        Observer::of(meter, BoxedTracer::new(tracer))
    }

    fn of(meter: Meter, tracer: BoxedTracer) -> Observer {
        let instruments = Instruments::new(&meter);
        Observer {
            parts: Arc::new(Parts {
                meter,
                tracer,
                instruments,
            }),
        }
    }

    /// Reads a client's `Stats` whenever metrics are collected, until the client is gone. It does not
    /// keep the client open.
    pub fn gauges(&self, client: &Client) {
        let meter = &self.parts.meter;
        let stats = client.stats_reader();
        meter
            .u64_observable_gauge(format!("{PREFIX}registrations"))
            .with_unit("{registration}")
            .with_callback({
                let stats = stats.clone();
                move |gauge| {
                    if let Some(s) = stats.read() {
                        gauge.observe(s.registrations as u64, &[]);
                    }
                }
            })
            .build();
        meter
            .u64_observable_gauge(format!("{PREFIX}subscriptions"))
            .with_unit("{subscription}")
            .with_callback({
                let stats = stats.clone();
                move |gauge| {
                    if let Some(s) = stats.read() {
                        gauge.observe(s.subscriptions as u64, &[]);
                    }
                }
            })
            .build();
        meter
            .f64_observable_gauge(format!("{PREFIX}view.oldest_age"))
            .with_unit("s")
            .with_callback(move |gauge| {
                if let Some(s) = stats.read() {
                    gauge.observe(s.oldest_view.as_secs_f64(), &[]);
                }
            })
            .build();
    }

    pub(crate) fn instruments(&self) -> &Instruments {
        &self.parts.instruments
    }

    pub(crate) fn tracer(&self) -> &BoxedTracer {
        &self.parts.tracer
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("muster")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

impl muster_client::Observer for Observer {
    fn observe(&self, event: &Event<'_>) {
        self.record(event);
        self.trace(event);
    }

    fn headers(&self) -> Vec<Header> {
        let context = Context::current();
        trace_context::headers(context.span().span_context())
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}
