package musterotel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	muster "github.com/muster-registry/muster/client-go"
)

// attributes are pairs of a name without "muster." and a value.
func attributes(pairs ...string) metric.MeasurementOption {
	list := make([]attribute.KeyValue, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, attribute.String("muster."+pairs[i], pairs[i+1]))
	}
	return metric.WithAttributes(list...)
}

// add is for counters, which need no context: nothing here is a caller's.
func add(c metric.Int64Counter, n int64, pairs ...string) {
	c.Add(context.Background(), n, attributes(pairs...))
}

// record makes an event's measurements.
func (o *Observer) record(event muster.Event) {
	i := &o.instruments
	switch e := event.(type) {
	case muster.ServerConnected:
		record(i.connectionDuration, e.Duration, attributes("server", e.Server, "result", "OK"))
	case muster.ServerFailed:
		record(i.connectionDuration, e.Duration, attributes("server", e.Server, "result", "FAILED"))
	case muster.CallFinished:
		record(i.callDuration, e.Duration, attributes("op", e.Op, "server", e.Server, "result", e.Result))
		add(i.callAttempts, int64(e.Attempts), "op", e.Op)
	case muster.StreamOpened:
		add(i.streamOpened, 1, "stream", e.Stream.String(), "server", e.Server)
	case muster.StreamEnded:
		record(i.streamDuration, e.Duration, attributes("stream", e.Stream.String(), "server", e.Server, "result", e.Result))
	case muster.RegistrationChanged:
		o.recordRegistration(e)
	case muster.KeepaliveAnswered:
		record(i.keepaliveDuration, e.Duration, attributes("server", e.Server, "outcome", e.Outcome.String()))
	case muster.DrainFinished:
		o.recordDrain(e)
	default:
		o.recordView(event)
		o.recordPick(event)
	}
}

func (o *Observer) recordRegistration(e muster.RegistrationChanged) {
	i := &o.instruments
	add(i.registrationChanges, 1, "state", e.To.String())
	change := int64(0)
	if holdsLease(e.To) {
		change++
	}
	if holdsLease(e.From) {
		change--
	}
	i.registrationConfirmed.Add(context.Background(), change)
}

func holdsLease(s muster.RegistrationState) bool {
	return s == muster.Active || s == muster.Unconfirmed
}

func (o *Observer) recordDrain(e muster.DrainFinished) {
	i := &o.instruments
	add(i.drainFinished, 1, "result", e.Result)
	for _, w := range []struct {
		outcome string
		count   uint32
	}{
		{"CONFIRMED", e.Report.Confirmed},
		{"BEHIND", e.Report.Behind},
		{"UNCONFIRMABLE", e.Report.Unconfirmable},
		{"DISCONNECTED", e.Report.Disconnected},
	} {
		if w.count > 0 {
			add(i.drainWatchers, int64(w.count), "outcome", w.outcome)
		}
	}
}

func (o *Observer) recordView(event muster.Event) {
	i := &o.instruments
	switch e := event.(type) {
	case muster.FrameApplied:
		frame := e.Frame.String()
		add(i.frameApplied, 1, "frame", frame)
		add(i.frameEntries, int64(e.Entries), "frame", frame)
		record(i.frameAge, e.Age, attributes("frame", frame))
	case muster.FrameRejected:
		add(i.frameRejected, 1, "fault", e.Fault.String())
	case muster.EpochRegressed:
		add(i.epochRegressed, 1)
	case muster.ViewFreshnessChanged:
		add(i.viewFreshness, 1, "freshness", e.To.String())
	}
}

func (o *Observer) recordPick(event muster.Event) {
	i := &o.instruments
	switch e := event.(type) {
	case muster.RPCFinished:
		record(i.rpcDuration, e.Duration, attributes("service", e.Service, "result", e.Result))
	case muster.PickFailed:
		add(i.pickFailed, 1, "service", e.Service, "result", e.Result)
	case muster.EndpointEjected:
		add(i.endpointEjected, 1, "service", e.Service)
	case muster.PanicChanged:
		if e.Panic {
			add(i.panicEntered, 1, "service", e.Service)
		}
	}
}
