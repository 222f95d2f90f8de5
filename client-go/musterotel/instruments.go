package musterotel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"

	muster "github.com/muster-registry/muster/client-go"
)

// prefix of every metric's name.
const prefix = "muster.client."

// instruments are those of docs/telemetry.md, in its order, without the gauges.
type instruments struct {
	connectionDuration                        metric.Float64Histogram
	callDuration                              metric.Float64Histogram
	callAttempts, streamOpened                metric.Int64Counter
	streamDuration                            metric.Float64Histogram
	frameApplied, frameEntries                metric.Int64Counter
	frameAge                                  metric.Float64Histogram
	frameRejected, epochRegressed             metric.Int64Counter
	viewFreshness, registrationChanges        metric.Int64Counter
	registrationConfirmed                     metric.Int64UpDownCounter
	keepaliveDuration                         metric.Float64Histogram
	drainFinished, drainWatchers              metric.Int64Counter
	rpcDuration                               metric.Float64Histogram
	pickFailed, endpointEjected, panicEntered metric.Int64Counter
}

// maker makes instruments and gathers what went wrong.
type maker struct {
	meter metric.Meter
	err   error
}

func newInstruments(meter metric.Meter) (instruments, error) {
	m := &maker{meter: meter}
	return instruments{
		connectionDuration:    m.seconds("connection.duration"),
		callDuration:          m.seconds("call.duration"),
		callAttempts:          m.counter("call.attempts", "{attempt}"),
		streamOpened:          m.counter("stream.opened", "{stream}"),
		streamDuration:        m.seconds("stream.duration"),
		frameApplied:          m.counter("frame.applied", "{frame}"),
		frameEntries:          m.counter("frame.entries", "{entry}"),
		frameAge:              m.seconds("frame.age"),
		frameRejected:         m.counter("frame.rejected", "{frame}"),
		epochRegressed:        m.counter("epoch.regressed", "{regression}"),
		viewFreshness:         m.counter("view.freshness", "{change}"),
		registrationChanges:   m.counter("registration.changes", "{change}"),
		registrationConfirmed: m.upDown("registration.confirmed", "{registration}"),
		keepaliveDuration:     m.seconds("keepalive.duration"),
		drainFinished:         m.counter("drain.finished", "{drain}"),
		drainWatchers:         m.counter("drain.watchers", "{watcher}"),
		rpcDuration:           m.seconds("rpc.duration"),
		pickFailed:            m.counter("pick.failed", "{pick}"),
		endpointEjected:       m.counter("endpoint.ejected", "{ejection}"),
		panicEntered:          m.counter("panic.entered", "{panic}"),
	}, m.err
}

func (m *maker) counter(name, unit string) metric.Int64Counter {
	i, err := m.meter.Int64Counter(prefix+name, metric.WithUnit(unit))
	m.err = errors.Join(m.err, err)
	return i
}

func (m *maker) upDown(name, unit string) metric.Int64UpDownCounter {
	i, err := m.meter.Int64UpDownCounter(prefix+name, metric.WithUnit(unit))
	m.err = errors.Join(m.err, err)
	return i
}

func (m *maker) seconds(name string) metric.Float64Histogram {
	i, err := m.meter.Float64Histogram(prefix+name, metric.WithUnit("s"))
	m.err = errors.Join(m.err, err)
	return i
}

// Gauges reads a client's Stats whenever metrics are collected, until the
// registration that is returned is taken back. The error is the meter's.
func (o *Observer) Gauges(client *muster.Client) (metric.Registration, error) {
	registrations, err := o.meter.Int64ObservableGauge(prefix+"registrations", metric.WithUnit("{registration}"))
	subscriptions, err2 := o.meter.Int64ObservableGauge(prefix+"subscriptions", metric.WithUnit("{subscription}"))
	oldest, err3 := o.meter.Float64ObservableGauge(prefix+"view.oldest_age", metric.WithUnit("s"))
	if err = errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	return o.meter.RegisterCallback(func(_ context.Context, m metric.Observer) error {
		s := client.Stats()
		m.ObserveInt64(registrations, int64(s.Registrations))
		m.ObserveInt64(subscriptions, int64(s.Subscriptions))
		m.ObserveFloat64(oldest, s.OldestView.Seconds())
		return nil
	}, registrations, subscriptions, oldest)
}

// record adds a histogram's value in seconds.
func record(h metric.Float64Histogram, d time.Duration, attributes metric.MeasurementOption) {
	h.Record(context.Background(), d.Seconds(), attributes)
}
