package muster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// recorder is an observer that keeps what it is told.
type recorder struct {
	mu     sync.Mutex
	events []Event
}

type traceKey struct{}

func (r *recorder) Observe(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) Headers(ctx context.Context) []Header {
	trace, _ := ctx.Value(traceKey{}).(string)
	if trace == "" {
		return nil
	}
	return []Header{{"traceparent", trace}, {"muster-client", "no"}, {"Upper", "no"}}
}

// take returns the lines of the events so far, of those types, and forgets all.
func (r *recorder) take(lines ...func(Event) string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []string{}
	for _, e := range r.events {
		for _, line := range lines {
			if text := line(e); text != "" {
				list = append(list, text)
			}
		}
	}
	r.events = nil
	return list
}

func observed(t *testing.T, r *fakeregistry.Registry) (*Client, *recorder) {
	t.Helper()
	seen := &recorder{}
	c, err := New([]string{"a:1"}, WithDial(r.Dial), WithObserver(seen))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { closeClient(t, c) })
	return c, seen
}

func calls(e Event) string {
	if c, ok := e.(CallFinished); ok {
		return fmt.Sprintf("%s %s %s %s %d", c.Op, c.Subject, c.Server, c.Result, c.Attempts)
	}
	return ""
}

func states(e Event) string {
	if s, ok := e.(RegistrationChanged); ok {
		return fmt.Sprintf("%s %v->%v", s.Subject, s.From, s.To)
	}
	return ""
}

func frames(e Event) string {
	switch f := e.(type) {
	case FrameApplied:
		return fmt.Sprintf("%v %d", f.Frame, f.Entries)
	case FrameRejected:
		return fmt.Sprintf("rejected %v", f.Fault)
	default:
		return ""
	}
}

func freshness(e Event) string {
	if f, ok := e.(ViewFreshnessChanged); ok {
		return fmt.Sprintf("%s %v->%v", f.Selector, f.From, f.To)
	}
	return ""
}

func streams(e Event) string {
	switch s := e.(type) {
	case ServerConnected:
		return "connected " + s.Server
	case ServerFailed:
		return "failed " + s.Server + " " + s.Cause
	case StreamOpened:
		return fmt.Sprintf("opened %v", s.Stream)
	case StreamEnded:
		return fmt.Sprintf("ended %v %s", s.Stream, s.Result)
	default:
		return ""
	}
}

func TestObserverIsToldOfARegistrationsLife(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c, seen := observed(t, r)
		reg := mustRegister(t, c, spec("pay-1"))
		time.Sleep(20 * time.Second) // keepalives
		r.Expire()
		time.Sleep(20 * time.Second)
		if _, err := reg.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := reg.Deregister(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"register shop/pay/pay-1 a:1 OK 1",
			"shop/pay/pay-1 REGISTERING->ACTIVE",
			"shop/pay/pay-1 ACTIVE->REGISTERING",
			"register shop/pay/pay-1 a:1 OK 1",
			"shop/pay/pay-1 REGISTERING->ACTIVE",
			"drain shop/pay/pay-1 a:1 OK 1",
			"deregister shop/pay/pay-1 a:1 OK 1",
			"shop/pay/pay-1 ACTIVE->DEREGISTERED",
		}
		if diff := cmp.Diff(want, seen.take(calls, states)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		synctest.Wait() // the session ends after the call
		s := c.Stats()
		if s.Calls != 4 || s.CallAttempts != 4 || s.CallFailures != 0 || s.Reregistrations != 1 || s.LostLeases != 1 ||
			s.Drains != 1 || s.Keepalives < 4 || s.Connections != 1 || s.Registrations != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestObserverIsToldOfStreamsAndFrames(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c, seen := observed(t, r)
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 1)
		r.Put(instance("pay", "pay-2"))
		mustWait(t, sub, 2)
		a.Stop()
		synctest.Wait()
		got := seen.take(streams, frames)
		want := []string{"connected a:1", "opened WATCH", "SNAPSHOT 2", "DELTA 1", "ended WATCH UNAVAILABLE"}
		if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("events %q, want %q", got, want)
		}
		time.Sleep(time.Second)
		if got := seen.take(streams); len(got) == 0 || !strings.HasPrefix(got[0], "failed a:1 ") {
			t.Errorf("events %q of a server that is away", got)
		}
		if s := c.Stats(); s.Frames != 2 || s.BrokenStreams != 1 || s.ConnectionFailures == 0 || s.Subscriptions != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestObserverIsToldOfFreshness(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c, seen := observed(t, r)
		mustWait(t, mustSubscribe(t, c, "pay"), 1)
		a.Stop()
		time.Sleep(11 * time.Minute)
		if age := c.Stats().OldestView; age < 10*time.Minute {
			t.Errorf("oldest view %v", age)
		}
		a.Start()
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []string{
			"shop/pay EXPIRED->FRESH", "shop/pay FRESH->STALE", "shop/pay STALE->EXPIRED", "shop/pay EXPIRED->FRESH",
		}
		if diff := cmp.Diff(want, seen.take(freshness)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestObserverIsToldOfAMismatch(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c, seen := observed(t, r)
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 1)
		r.EditFrame = func(f *musterv1.WatchResponse) bool {
			if f.GetDelta() != nil {
				f.GetDelta().GetHeader().Digest++
			}
			return true
		}
		r.Put(instance("pay", "pay-2"))
		mustWait(t, sub, 2)
		synctest.Wait() // events follow the view
		want := []string{"SNAPSHOT 2", "rejected MISMATCH", "SNAPSHOT 3"}
		if diff := cmp.Diff(want, seen.take(frames)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestHeadersGoWithTheCallersCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c, seen := observed(t, r)
		ctx := context.WithValue(t.Context(), traceKey{}, traceparent)
		reg, err := c.Register(ctx, spec("pay-1"))
		if err != nil {
			t.Fatal(err)
		}
		reg.SetWeight(7)
		if err := reg.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Lookup(ctx, Service("shop", "pay")); err != nil {
			t.Fatal(err)
		}
		r.Expire()
		time.Sleep(20 * time.Second)
		if err := reg.Deregister(ctx); err != nil {
			t.Fatal(err)
		}
		headers := func(e Event) string {
			if c, ok := e.(CallFinished); ok {
				return fmt.Sprint(c.Op, c.Headers)
			}
			return ""
		}
		traced := "[{traceparent " + traceparent + "}]"
		want := []string{"register" + traced, "update[]", "lookup" + traced, "register[]", "deregister" + traced}
		if diff := cmp.Diff(want, seen.take(headers)); diff != "" {
			t.Errorf("headers (-want +got):\n%s", diff)
		}
	})
}

func TestHeadersAreSent(t *testing.T) {
	traced := withHeaders(t.Context(), []Header{{"traceparent", traceparent}})
	ctx, _, err := callHeaders{}.prepare(traced, "")
	if err != nil {
		t.Fatal(err)
	}
	sent, _ := metadata.FromOutgoingContext(ctx)
	if got := sent.Get("traceparent"); !slices.Equal(got, []string{traceparent}) {
		t.Errorf("traceparent %q", got)
	}
	for header, want := range map[Header]bool{
		{"traceparent", traceparent}: true, {"baggage", ""}: true, {"b3", "a b"}: true, {"a.b_c-1", "x"}: true,
		{"", "x"}: false, {"Traceparent", "x"}: false, {"grpc-timeout", "1S"}: false, {"muster-client", "x"}: false,
		{"authorization", "x"}: false, {"x-bin", "x"}: false, {"x", "a\nb"}: false, {"x", "é"}: false, {"a b", "x"}: false,
	} {
		if header.sendable() != want {
			t.Errorf("%+v can be sent: %v", header, !want)
		}
	}
}

func TestChangeTracesReachUpdates(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.EditFrame = func(f *musterv1.WatchResponse) bool {
			if d := f.GetDelta(); d != nil {
				d.Traces = []*musterv1.ChangeTrace{{Revision: d.GetHeader().GetRevision(), Traceparent: traceparent}}
			}
			return true
		}
		c, seen := observed(t, r)
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 0)
		var got []ChangeTrace
		began := false
		for u, err := range sub.Updates(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := u.(Delta); ok {
				got = d.Traces
				break
			}
			if !began {
				began = true
				r.Put(instance("pay", "pay-1"))
			}
		}
		_, revision := r.Position()
		want := []ChangeTrace{{revision, traceparent}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("traces of the update (-want +got):\n%s", diff)
		}
		synctest.Wait() // events follow the view
		traces := func(e Event) string {
			if f, ok := e.(FrameApplied); ok && f.Frame == FrameDelta {
				return fmt.Sprint(f.Traces)
			}
			return ""
		}
		if diff := cmp.Diff([]string{fmt.Sprint(want)}, seen.take(traces)); diff != "" {
			t.Errorf("traces of the event (-want +got):\n%s", diff)
		}
	})
}

func TestTracesAreBounded(t *testing.T) {
	var log []seenTrace
	for revision := range uint64(10_000) {
		log = rememberTraces(log, []ChangeTrace{{revision, traceparent}}, Position{1, revision})
	}
	if len(log) > 2*tracesKept || log[len(log)-1].Revision != 9_999 {
		t.Errorf("%d traces kept, the last of revision %d", len(log), log[len(log)-1].Revision)
	}
	v := View{traces: log, position: Position{1, 9_999}}
	if got := v.tracesAfter(Position{1, 9_997}); len(got) != 2 {
		t.Errorf("traces after 9997: %v", got)
	}
	if got := (&View{traces: log, position: Position{2, 1}}).tracesAfter(Position{1, 9_997}); len(got) != 0 {
		t.Errorf("traces of another epoch: %v", got)
	}
}

func TestResultsOfCalls(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{nil, "OK"},
		{&Error{Reason: ReasonNoServer, Code: codes.Unavailable}, "NO_SERVER"},
		{&Error{Code: codes.FailedPrecondition}, "FAILED_PRECONDITION"},
		{&Error{Code: codes.Canceled}, "CANCELLED"},
		{&Error{Code: codes.DataLoss}, "DATA_LOSS"},
	} {
		if got := resultOf(c.err); got != c.want {
			t.Errorf("result %q, want %q", got, c.want)
		}
	}
}
