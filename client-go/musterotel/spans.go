package musterotel

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	muster "github.com/muster-registry/muster/client-go"
)

// changesTraced is how many changes of one update get a span.
const changesTraced = 16

// traceCall records a call that ended as a span of its caller's trace.
func (o *Observer) traceCall(e muster.CallFinished) {
	end := time.Now()
	_, span := o.tracer.Start(
		o.parent(e.Headers...), "muster.call",
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithTimestamp(end.Add(-e.Duration)),
		trace.WithAttributes(
			attribute.String("muster.op", e.Op),
			attribute.String("muster.subject", e.Subject),
			attribute.String("muster.server", e.Server),
			attribute.String("muster.result", e.Result),
			attribute.Int("muster.attempts", e.Attempts),
		),
	)
	if e.Result != "OK" {
		span.SetStatus(codes.Error, e.Result)
	}
	span.End(trace.WithTimestamp(end))
}

// traceChanges records that changes reached a view, each as a part of the trace
// of the call that made it.
func (o *Observer) traceChanges(e muster.FrameApplied) {
	for _, change := range e.Traces[:min(len(e.Traces), changesTraced)] {
		parent := o.parent(muster.Header{Name: "traceparent", Value: change.Traceparent})
		if !trace.SpanContextFromContext(parent).IsValid() {
			continue
		}
		_, span := o.tracer.Start(
			parent, "muster.apply",
			trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(
				attribute.String("muster.selector", e.Selector),
				attribute.String("muster.frame", e.Frame.String()),
				attribute.Int64("muster.revision", int64(change.Revision)),
				attribute.Int("muster.entries", e.Entries),
			),
		)
		span.End()
	}
}
