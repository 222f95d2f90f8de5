package muster

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// limited makes the fake's servers take so many subscriptions on a stream.
func limited(r *fakeregistry.Registry, perStream int) {
	r.OnInfo = func(string) (*musterv1.GetServerInfoResponse, error) {
		return &musterv1.GetServerInfoResponse{
			ClusterId: "c1", OldestProtocol: 1, NewestProtocol: 1,
			Limits: &musterv1.Limits{SubscriptionsPerStream: uint32(perStream)},
		}, nil
	}
	r.OnWatch = func(_ string, req *musterv1.WatchRequest) fakeregistry.Script {
		if n := len(req.GetSubscriptions()); n > perStream {
			return func(musterv1.DiscoveryService_WatchServer) error {
				return fakeregistry.Fault(codes.ResourceExhausted, musterv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED, fmt.Sprint(n), nil)
			}
		}
		return nil
	}
}

func subscribeTo(t *testing.T, c *Client, n int) []*Subscription {
	t.Helper()
	var subs []*Subscription
	for i := range n {
		subs = append(subs, mustSubscribe(t, c, fmt.Sprintf("s%04d", i)))
	}
	return subs
}

func TestMoreSelectorsThanOneStreamTakesAreWatchedOnSeveral(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		limited(r, 10)
		c := newTestClient(t, r)
		subs := subscribeTo(t, c, 25)
		for _, s := range subs {
			mustWait(t, s, 0)
		}
		if n := r.Streams(); n != 3 {
			t.Errorf("%d streams for 25 selectors, 10 on each", n)
		}
		r.Put(instance("s0003", "x"))
		r.Put(instance("s0024", "y"))
		mustWait(t, subs[3], 1)
		mustWait(t, subs[24], 1)
		a.Stop()
		synctest.Wait()
		a.Start()
		r.Put(instance("s0024", "z"))
		mustWait(t, subs[24], 2)
		subs[3].Close()
		sub := mustSubscribe(t, c, "s0003")
		mustWait(t, sub, 1)
		until(t, time.Minute, "all streams are back", func() bool { return r.Streams() == 3 })
		time.Sleep(time.Minute)
		if n := r.Streams(); n != 3 {
			t.Errorf("%d streams; the place of a selector that was closed is free", n)
		}
	})
}

func TestServerThatTakesFewerSelectorsSpreadsThem(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		c := newTestClient(t, r)
		subs := subscribeTo(t, c, 25)
		for _, s := range subs {
			mustWait(t, s, 0)
		}
		if n := r.Streams(); n != 1 {
			t.Errorf("%d streams for 25 selectors", n)
		}
		limited(r, 10)
		a.Stop()
		synctest.Wait()
		a.Start()
		for i, s := range subs {
			r.Put(instance(fmt.Sprintf("s%04d", i), "x"))
			mustWait(t, s, 1)
		}
		until(t, time.Minute, "25 selectors are on 3 streams, 10 on each", func() bool { return r.Streams() == 3 })
	})
}

func TestSelectorsBeyondTheLastStreamAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		limited(r, 2)
		c := newTestClient(t, r)
		mustWait(t, mustSubscribe(t, c, "first"), 0) // the limit is known
		subscribeTo(t, c, 31)
		_, err := c.Subscribe(Service("shop", "more"))
		want := "muster: subscribe shop/more: 32 selectors are watched already, and 16 streams of 2 are the most; " +
			"close subscriptions, or name several services in one selector [LIMIT_EXCEEDED]"
		if err == nil || err.Error() != want {
			t.Errorf("error %v\nwant %s", err, want)
		}
		mustSubscribe(t, c, "first") // shares a watch
	})
}

func TestSelectorsThatNoLongerFitEndWithAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		c := newTestClient(t, r)
		subs := subscribeTo(t, c, 17)
		mustWait(t, subs[16], 0)
		limited(r, 1)
		a.Stop()
		synctest.Wait()
		a.Start()
		until(t, time.Minute, "one selector too many ends", func() bool { return subs[16].Err() != nil })
		if err := subs[16].Err(); ReasonOf(err) != ReasonLimitExceeded || !strings.Contains(err.Error(), "16 streams of 1 are the most") {
			t.Errorf("error %v", err)
		}
		if err := subs[15].Err(); err != nil {
			t.Errorf("another one: %v", err)
		}
	})
}
