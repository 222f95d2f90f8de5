package musterotel

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	muster "github.com/muster-registry/muster/client-go"
)

// scope names the instrumentation.
const scope = "muster"

// Config says where to record.
type Config struct {
	// Meters make the instruments; default the global ones.
	Meters metric.MeterProvider
	// Tracers make the spans; default the global ones.
	Tracers trace.TracerProvider
}

// Observer is a [muster.Observer] that records metrics and spans. It is safe
// for concurrent use, and one may serve several clients.
type Observer struct {
	meter       metric.Meter
	tracer      trace.Tracer
	propagator  propagation.TraceContext
	instruments instruments
}

var _ muster.Observer = (*Observer)(nil)

// New makes an observer. The error is the meter's, if it refuses an instrument.
func New(config Config) (*Observer, error) {
	if config.Meters == nil {
		config.Meters = otel.GetMeterProvider()
	}
	if config.Tracers == nil {
		config.Tracers = otel.GetTracerProvider()
	}
	o := &Observer{
		meter:  config.Meters.Meter(scope, metric.WithInstrumentationVersion(muster.Version)),
		tracer: config.Tracers.Tracer(scope, trace.WithInstrumentationVersion(muster.Version)),
	}
	var err error
	o.instruments, err = newInstruments(o.meter)
	return o, err
}

// Headers implements muster.Observer: the W3C trace context of ctx.
func (o *Observer) Headers(ctx context.Context) []muster.Header {
	carrier := propagation.MapCarrier{}
	o.propagator.Inject(ctx, carrier)
	var headers []muster.Header
	for _, name := range []string{"traceparent", "tracestate"} {
		if value := carrier.Get(name); value != "" {
			headers = append(headers, muster.Header{Name: name, Value: value})
		}
	}
	return headers
}

// Observe implements muster.Observer.
func (o *Observer) Observe(event muster.Event) {
	o.record(event)
	switch e := event.(type) {
	case muster.CallFinished:
		o.traceCall(e)
	case muster.FrameApplied:
		o.traceChanges(e)
	}
}

// parent is the context of a remote span.
func (o *Observer) parent(headers ...muster.Header) context.Context {
	carrier := propagation.MapCarrier{}
	for _, h := range headers {
		carrier.Set(h.Name, h.Value)
	}
	return o.propagator.Extract(context.Background(), carrier)
}
