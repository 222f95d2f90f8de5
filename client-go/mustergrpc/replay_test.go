package mustergrpc

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

func TestRefusedCallGoesToAnotherInstance(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		refuser := w.fleet.startRefuser(t, "10.0.0.1:80")
		w.fleet.start("10.0.0.2:80")
		// However heavy the refuser is: it is not chosen twice for one call. Few
		// enough calls that it is not ejected.
		w.put("pay-1", "10.0.0.1:80", weighing(1_000_000))
		w.put("pay-2", "10.0.0.2:80", weighing(1))
		c := w.channel(t)
		settle()
		for range 4 {
			if endpoint, err := call(t, c); err != nil || endpoint != "10.0.0.2:80" {
				t.Errorf("%s, %v", endpoint, err)
			}
		}
		if n := refuser.requests.Load(); n != 4 {
			t.Errorf("the refuser was asked %d times, want once for each call", n)
		}
	})
}

func TestInstanceThatRefusesCallsIsEjected(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		refuser := w.fleet.startRefuser(t, "10.0.0.1:80")
		w.fleet.start("10.0.0.2:80")
		w.put("pay-1", "10.0.0.1:80", weighing(1_000_000))
		w.put("pay-2", "10.0.0.2:80", weighing(1))
		c := w.channel(t)
		settle()
		spread(t, c, 20)
		if n := refuser.requests.Load(); n != 5 {
			t.Errorf("the refuser was asked %d times, want 5 until it was ejected", n)
		}
	})
}

func TestTwoRefusalsAreEnough(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		one, two := w.fleet.startRefuser(t, "10.0.0.1:80"), w.fleet.startRefuser(t, "10.0.0.2:80")
		w.put("pay-1", "10.0.0.1:80")
		w.put("pay-2", "10.0.0.2:80")
		c := w.channel(t)
		settle()
		_, err := call(t, c)
		if status.Code(err) != codes.Unavailable {
			t.Errorf("error %v", err)
		}
		if a, b := one.requests.Load(), two.requests.Load(); a != 1 || b != 1 {
			t.Errorf("asked %d and %d times, want each once", a, b)
		}
	})
}

// secondIsSlow lets a second pass between the headers and the message of the
// second attempt, so that its refusal comes before the message is written.
type secondIsSlow struct{ attempts atomic.Int64 }

func (*secondIsSlow) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }
func (*secondIsSlow) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return ctx
}
func (*secondIsSlow) HandleConn(context.Context, stats.ConnStats) {}

func (s *secondIsSlow) HandleRPC(_ context.Context, event stats.RPCStats) {
	if _, is := event.(*stats.OutHeader); is && s.attempts.Add(1) == 2 {
		time.Sleep(time.Second)
	}
}

func TestRefusalBeforeTheRequestIsWrittenIsUnavailable(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		refuser := w.fleet.startRefuser(t, "10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		slow := &secondIsSlow{}
		conn := w.conn(t, grpc.WithStatsHandler(slow))
		settle()
		c := healthpb.NewHealthClient(conn)
		if _, err := call(t, c); status.Code(err) != codes.Unavailable {
			t.Errorf("unary: error %v", err)
		}
		slow.attempts.Store(0)
		stream, err := c.Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.Unavailable {
			t.Errorf("stream: error %v", err)
		}
		if n := refuser.requests.Load(); n != 4 {
			t.Errorf("asked %d times, want each call twice", n)
		}
		if n := ExplainPick(conn).Instances[0].InFlight; n != 0 {
			t.Errorf("%d calls in flight, want none", n)
		}
	})
}

// A channel cannot tell a refusal by the only instance from a connection that
// was lost before the call was sent, so it asks once more.
func TestOnlyInstanceIsAskedOnceMore(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		refuser := w.fleet.startRefuser(t, "10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		_, err := call(t, w.channel(t))
		if status.Code(err) != codes.Unavailable {
			t.Errorf("error %v", err)
		}
		if n := refuser.requests.Load(); n != 2 {
			t.Errorf("asked %d times, want 2", n)
		}
	})
}

func TestProcessedCallsAreNeverSentAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
			w.fleet.fail("10.0.0."+a+":80", codes.Unavailable)
		}
		c := w.channel(t)
		settle()
		_, err := call(t, c)
		if status.Code(err) != codes.Unavailable {
			t.Errorf("error %v", err)
		}
		if n := w.client.Stats().RPCs; n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
	})
}
