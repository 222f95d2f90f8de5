package musterotel

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	muster "github.com/muster-registry/muster/client-go"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// table is conformance/telemetry.json.
type table struct {
	Metrics []struct {
		Name, Instrument, Unit, Meaning string
		Attributes                      []string
	}
	Spans []struct {
		Name, Kind, Meaning string
		Attributes          []string
	}
}

func readTable(t *testing.T) table {
	t.Helper()
	data, err := os.ReadFile("../../conformance/telemetry.json")
	if err != nil {
		t.Fatal(err)
	}
	var names table
	if err := json.Unmarshal(data, &names); err != nil {
		t.Fatal(err)
	}
	return names
}

// samples are one event of each kind, more where they differ.
func samples() []muster.Event {
	traced := []muster.Header{{Name: "traceparent", Value: traceparent}}
	return []muster.Event{
		muster.ServerConnected{Server: "a:1", Duration: time.Millisecond},
		muster.ServerFailed{Server: "a:1", Cause: "connection refused", Duration: time.Millisecond},
		muster.CallFinished{Op: "register", Subject: "shop/pay/pay-1", Server: "a:1", Result: "OK", Duration: time.Second, Attempts: 2, Headers: traced},
		muster.CallFinished{Op: "lookup", Subject: "shop/pay", Result: "NO_SERVER", Duration: time.Second, Attempts: 1},
		muster.StreamOpened{Stream: muster.StreamWatch, Server: "a:1"},
		muster.StreamEnded{Stream: muster.StreamWatch, Server: "a:1", Result: "UNAVAILABLE", Duration: time.Minute},
		muster.FrameApplied{Selector: "shop/pay", Server: "a:1", Frame: muster.FrameDelta, Entries: 3, Age: time.Second, Traces: []muster.ChangeTrace{{Revision: 7, Traceparent: traceparent}, {Revision: 8, Traceparent: "nonsense"}}},
		muster.FrameRejected{Selector: "shop/pay", Server: "a:1", Fault: muster.FaultMismatch},
		muster.EpochRegressed{Server: "a:1", From: 2, To: 1},
		muster.ViewFreshnessChanged{Selector: "shop/pay", From: muster.Fresh, To: muster.Stale},
		muster.RegistrationChanged{Subject: "shop/pay/pay-1", From: muster.Registering, To: muster.Active},
		muster.KeepaliveAnswered{Subject: "shop/pay/pay-1", Server: "a:1", Outcome: muster.KeepaliveConfirmed, Duration: time.Millisecond},
		muster.DrainFinished{Subject: "shop/pay/pay-1", Result: "OK", Report: muster.DrainReport{Confirmed: 2, Behind: 1}},
		muster.RPCFinished{Service: "shop/pay", Endpoint: "10.0.0.1:80", Result: "UNAVAILABLE", Duration: time.Millisecond},
		muster.PickFailed{Service: "shop/pay", Result: "NO_INSTANCES"},
		muster.EndpointEjected{Service: "shop/pay", Endpoint: "10.0.0.1:80", Duration: time.Second},
		muster.PanicChanged{Service: "shop/pay", Panic: true},
	}
}

// recorded is an observer that was told all samples, and what came of it.
func recorded(t *testing.T) (map[string]metricdata.Metrics, tracetest.SpanStubs) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	spans := tracetest.NewInMemoryExporter()
	o, err := New(Config{
		Meters:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		Tracers: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)),
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := muster.New([]string{"a:1"}, muster.WithObserver(o))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	gauges, err := o.Gauges(client)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range samples() {
		client.Observe(e)
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	if err := gauges.Unregister(); err != nil {
		t.Fatal(err)
	}
	metrics := make(map[string]metricdata.Metrics)
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			metrics[m.Name] = m
		}
	}
	return metrics, spans.GetSpans()
}

// describe is a metric's instrument and the attributes of its points.
func describe(m metricdata.Metrics) (instrument string, sets []attribute.Set) {
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		instrument = "counter"
		if !d.IsMonotonic {
			instrument = "up_down_counter"
		}
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Histogram[float64]:
		instrument = "histogram"
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Gauge[int64]:
		instrument = "gauge"
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Gauge[float64]:
		instrument = "gauge"
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	}
	return instrument, sets
}

func names(attributes []attribute.KeyValue) []string {
	list := []string{}
	for _, a := range attributes {
		list = append(list, string(a.Key))
	}
	sort.Strings(list)
	return list
}

func TestMetricsAreThoseOfTheTable(t *testing.T) {
	metrics, _ := recorded(t)
	for _, want := range readTable(t).Metrics {
		got, ok := metrics[want.Name]
		delete(metrics, want.Name)
		if !ok {
			t.Errorf("%s is not recorded", want.Name)
			continue
		}
		instrument, sets := describe(got)
		if instrument != want.Instrument || got.Unit != want.Unit {
			t.Errorf("%s is a %s in %s, want %s in %s", want.Name, instrument, got.Unit, want.Instrument, want.Unit)
		}
		attributes := slices.Sorted(slices.Values(want.Attributes))
		for _, set := range sets {
			if diff := cmp.Diff(append([]string{}, attributes...), names(set.ToSlice())); diff != "" {
				t.Errorf("attributes of %s (-want +got):\n%s", want.Name, diff)
			}
		}
		if len(sets) == 0 {
			t.Errorf("%s has no value", want.Name)
		}
	}
	for name := range metrics {
		t.Errorf("%s is not in the table", name)
	}
}

func TestSpansAreThoseOfTheTable(t *testing.T) {
	_, spans := recorded(t)
	seen := map[string]bool{}
	rows := readTable(t).Spans
	for _, span := range spans {
		found := false
		for _, want := range rows {
			if want.Name != span.Name {
				continue
			}
			found, seen[want.Name] = true, true
			if got := strings.ToLower(span.SpanKind.String()); got != want.Kind {
				t.Errorf("%s is of kind %s, want %s", span.Name, got, want.Kind)
			}
			if diff := cmp.Diff(slices.Sorted(slices.Values(want.Attributes)), names(span.Attributes)); diff != "" {
				t.Errorf("attributes of %s (-want +got):\n%s", span.Name, diff)
			}
		}
		if !found {
			t.Errorf("%s is not in the table", span.Name)
		}
	}
	if len(seen) != len(rows) {
		t.Errorf("recorded %v of %d", seen, len(rows))
	}
}

func TestSpansJoinTheCallersTrace(t *testing.T) {
	_, spans := recorded(t)
	lines := []string{}
	for _, s := range spans {
		joined := s.SpanContext.TraceID().String() == "0af7651916cd43dd8448eb211c80319c" &&
			s.Parent.SpanID().String() == "b7ad6b7169203331"
		lines = append(lines, fmt.Sprint(s.Name, " ", joined, " ", s.Status.Code == codes.Error, " ", s.EndTime.Sub(s.StartTime) >= time.Second))
	}
	want := []string{"muster.call true false true", "muster.call false true true", "muster.apply true false false"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("name, joined, failed, long (-want +got):\n%s", diff)
	}
}

func TestHeadersCarryTheTraceContext(t *testing.T) {
	o, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Headers(t.Context()); len(got) != 0 {
		t.Errorf("headers %v without a span", got)
	}
	tracers := sdktrace.NewTracerProvider()
	ctx, span := tracers.Tracer("test").Start(t.Context(), "caller")
	defer span.End()
	c := span.SpanContext()
	want := []muster.Header{{Name: "traceparent", Value: fmt.Sprintf("00-%s-%s-01", c.TraceID(), c.SpanID())}}
	if diff := cmp.Diff(want, o.Headers(ctx)); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if got := trace.SpanContextFromContext(o.parent(want...)); got.SpanID() != c.SpanID() {
		t.Errorf("the parent is %v, want %v", got.SpanID(), c.SpanID())
	}
}

func TestRegistrationsThatHoldALeaseAreCounted(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	o, err := New(Config{Meters: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	if err != nil {
		t.Fatal(err)
	}
	states := []muster.RegistrationState{
		muster.Registering, muster.Active, muster.Unconfirmed, muster.Active, muster.Registering, muster.Active, muster.Fenced,
	}
	for i, want := range []int64{1, 1, 1, 0, 1, 0} {
		o.Observe(muster.RegistrationChanged{From: states[i], To: states[i+1]})
		var data metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &data); err != nil {
			t.Fatal(err)
		}
		for _, m := range data.ScopeMetrics[0].Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == prefix+"registration.confirmed" {
				if got := sum.DataPoints[0].Value; got != want {
					t.Errorf("%d registrations after %v to %v, want %d", got, states[i], states[i+1], want)
				}
			}
		}
	}
}

// The document shows what the table holds.
func TestDocumentShowsTheTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	code := func(list []string) string {
		quoted := make([]string, len(list))
		for i, a := range list {
			quoted[i] = "`" + a + "`"
		}
		return strings.Join(quoted, ", ")
	}
	names := readTable(t)
	rows := []string{}
	for _, m := range names.Metrics {
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s | %s |", m.Name, m.Instrument, m.Unit, code(m.Attributes), m.Meaning))
	}
	for _, s := range names.Spans {
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |", s.Name, s.Kind, code(s.Attributes), s.Meaning))
	}
	shown := []string{}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "| `muster.") {
			shown = append(shown, line)
		}
	}
	if diff := cmp.Diff(rows, shown); diff != "" {
		t.Errorf("docs/telemetry.md and conformance/telemetry.json differ (-table +document):\n%s", diff)
	}
}
