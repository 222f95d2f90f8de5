//! The spans: one for each call, and one for each traced change that reaches a view.

use std::time::Duration;

use muster_client::{ChangeTrace, Event};
use opentelemetry::trace::{
    Span, SpanContext, SpanKind, Status, TraceContextExt, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};

use crate::observer::Observer;
use crate::trace_context;

/// How many changes of one update get a span.
const CHANGES_TRACED: usize = 16;

impl Observer {
    /// Makes an event's spans.
    pub(crate) fn trace(&self, event: &Event<'_>) {
        match event {
            Event::CallFinished {
                op,
                subject,
                server,
                result,
                duration,
                attempts,
                headers,
                ..
            } => {
                let attributes = vec![
                    KeyValue::new("muster.op", (*op).to_owned()),
                    KeyValue::new("muster.subject", (*subject).to_owned()),
                    KeyValue::new("muster.server", (*server).to_owned()),
                    KeyValue::new("muster.result", (*result).to_owned()),
                    KeyValue::new("muster.attempts", i64::from(*attempts)),
                ];
                let parent = trace_context::span_of(headers);
                self.trace_call(parent, attributes, result, *duration);
            }
            Event::FrameApplied {
                selector,
                frame,
                entries,
                traces,
                ..
            } => {
                for change in traces.iter().take(CHANGES_TRACED) {
                    self.trace_change(change, selector, frame.as_str(), *entries);
                }
            }
            _ => {}
        }
    }

    /// Records a call that ended as a span of its caller's trace.
    fn trace_call(
        &self,
        parent: Option<SpanContext>,
        attributes: Vec<KeyValue>,
        result: &str,
        duration: Duration,
    ) {
        let end = opentelemetry::time::now();
        let mut span = self
            .tracer()
            .span_builder("muster.call")
            .with_kind(SpanKind::Client)
            .with_start_time(end - duration)
            .with_attributes(attributes)
            .start_with_context(self.tracer(), &context_of(parent));
        if result != "OK" {
            span.set_status(Status::error(result.to_owned()));
        }
        span.end_with_timestamp(end);
    }

    /// Records that a change reached a view, as a part of the trace of the call that made it.
    fn trace_change(
        &self,
        change: &ChangeTrace,
        selector: &str,
        frame: &'static str,
        entries: usize,
    ) {
        let Some(parent) = trace_context::parse(&change.traceparent, TraceState::default()) else {
            return;
        };
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let attributes = vec![
            KeyValue::new("muster.selector", selector.to_owned()),
            KeyValue::new("muster.frame", frame),
            KeyValue::new("muster.revision", number(change.revision)),
            KeyValue::new("muster.entries", number(entries as u64)),
        ];
        self.tracer()
            .span_builder("muster.apply")
            .with_kind(SpanKind::Consumer)
            .with_attributes(attributes)
            .start_with_context(self.tracer(), &context_of(Some(parent)))
            .end();
    }
}

fn context_of(parent: Option<SpanContext>) -> Context {
    match parent {
        Some(parent) => Context::new().with_remote_span_context(parent),
        None => Context::new(),
    }
}
