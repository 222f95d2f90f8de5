package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

// heavy registers instances of about 15 KB each.
func heavy(t *testing.T, c servertest.Clients, n int) []*musterv1.Lease {
	t.Helper()
	leases := make([]*musterv1.Lease, 0, n)
	for i := range n {
		in := servertest.Instance("pay", fmt.Sprintf("pay-%03d", i))
		in.Metadata = map[string]string{"ballast": strings.Repeat("x", 15_000)}
		res, err := c.Register(t.Context(), servertest.Register(time.Hour, in))
		if err != nil {
			t.Fatal(err)
		}
		leases = append(leases, res.GetLease())
	}
	return leases
}

func TestLargeSnapshotsAndDeltasAreChunked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		const n = 100 // about 1.5 MB
		heavy(t, c, n)
		next := watch(t, c, nil, "pay")
		seen, chunks := 0, uint32(0)
		for {
			f := next().GetSnapshot()
			if f.GetChunk().GetIndex() != chunks || f.GetHeader().GetCount() != n+1 {
				t.Fatalf("chunk %v of %v, want index %d and count %d", f.GetChunk(), f.GetHeader(), chunks, n+1)
			}
			chunks++
			seen += len(f.GetInstances())
			if f.GetChunk().GetPosition() == musterv1.ChunkPosition_CHUNK_POSITION_FINAL {
				break
			}
		}
		if seen != n || chunks < 5 {
			t.Errorf("%d instances in %d chunks, want %d in several", seen, chunks, n)
		}
	})
}

// TestSlowWatcherGetsTheLatestStateOnce is M2.8a and M2.8b: a watcher that does
// not read holds nobody up, is not cut off, and gets what changed meanwhile as
// one update (linkerd2 cuts such watchers off, etcd starves the others).
func TestSlowWatcherGetsTheLatestStateOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		// A connection of its own, whose windows are as small as gRPC allows.
		slow := s.Dial(grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10), grpc.WithStaticStreamWindowSize(64<<10))
		stream, err := slow.Watch(ctx, &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{
			{SubscriptionId: 1, Selector: servertest.Services("pay")},
		}})
		if err != nil {
			t.Fatal(err)
		}
		leases := heavy(t, c, 20)
		fast := watch(t, c, nil, "pay")
		for fast().GetSnapshot().GetChunk().GetPosition() != musterv1.ChunkPosition_CHUNK_POSITION_FINAL {
		}
		const rounds = 30
		for round := range rounds {
			for i, l := range leases {
				in := servertest.Instance("pay", fmt.Sprintf("pay-%03d", i))
				in.Version = fmt.Sprintf("2.%d.0", round)
				if _, err := c.Update(t.Context(), &musterv1.UpdateRequest{LeaseId: l.GetLeaseId(), Instance: in, UpdateMask: mask("version")}); err != nil {
					t.Fatal(err)
				}
			}
			for got := 0; got < len(leases); {
				got += len(fast().GetDelta().GetInstances())
			}
		}
		// Now it reads: a few updates that were under way, then one with the rest.
		versions, delivered := map[string]string{}, 0
		for done := 0; done < len(leases); {
			f, err := stream.Recv()
			if err != nil {
				t.Fatalf("the slow watcher was cut off: %v", err)
			}
			for _, in := range append(f.GetDelta().GetInstances(), f.GetSnapshot().GetInstances()...) {
				delivered++
				versions[in.GetInstanceId()] = in.GetVersion()
			}
			done = 0
			for _, v := range versions {
				if v == fmt.Sprintf("2.%d.0", rounds-1) {
					done++
				}
			}
		}
		if most := len(leases) * rounds / 2; delivered > most {
			t.Errorf("%d instances were delivered to the slow watcher, want far less than %d changes", delivered, len(leases)*rounds)
		}
	})
}
