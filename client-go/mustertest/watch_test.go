package mustertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	first     = musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST
	newEpoch  = musterv1.SnapshotCause_SNAPSHOT_CAUSE_NEW_EPOCH
	compacted = musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED
	selector  = musterv1.SnapshotCause_SNAPSHOT_CAUSE_SELECTOR_CHANGED
)

func TestWatchTellsHowInstancesWent(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		client := r.Client()
		sub := subscribe(t, client)
		r.Register(spec("a"), spec("b"))
		reach(t, sub, time.Second, "a", "b")
		r.Deregister("shop/pay/a")
		reach(t, sub, time.Second, "b")
		r.Deregister("shop/pay/b")
		if v := reach(t, sub, time.Second); v.Intent() != muster.AllDeregistered {
			t.Errorf("intent %v", v.Intent())
		}
		r.Register(spec("c"))
		reach(t, sub, time.Second, "c")
		r.ExpireAll()
		if v := reach(t, sub, time.Second); v.Intent() != muster.AllExpired {
			t.Errorf("intent %v", v.Intent())
		}
		unharmed(t, client)
	})
}

func TestSnapshotThenDeltasThenProgress(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		r.Register(spec("a"))
		f := newRaw(t, r).watch("", nil)
		s := f.snapshot(first)
		if len(s.GetInstances()) != 1 || len(s.GetServices()) != 1 || s.GetHeader().GetCount() != 2 {
			t.Errorf("%v", s)
		}
		began := time.Now()
		p := f.progress()
		if silence := time.Since(began); silence < 8*time.Second || silence > 12*time.Second {
			t.Errorf("Progress after %v", silence)
		}
		r.Register(spec("b"))
		d := f.delta()
		if d.GetFromRevision() != p.GetHeader().GetRevision() || len(d.GetInstances()) != 1 {
			t.Errorf("%v", d)
		}
		r.Deregister("shop/pay/a")
		r.Deregister("shop/pay/b")
		d = f.delta()
		if len(d.GetRemovals()) != 2 || d.GetServices()[0].GetEmptied().GetReason() != musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED {
			t.Errorf("%v", d)
		}
	})
}

func TestFilterShowsWhatLeavesItAsFilteredOut(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		gold := spec("a")
		gold.Metadata = map[string]string{"tier": "gold"}
		r.Register(gold, spec("b"))
		sel := selectPay()
		sel.Filter = &musterv1.InstanceFilter{Metadata: []*musterv1.MetadataMatch{{Key: "tier", Values: []string{"gold"}}}}
		f := newRaw(t, r).watchSelector("", sel, nil)
		if s := f.snapshot(first); len(s.GetInstances()) != 1 {
			t.Errorf("%v", s)
		}
		r.Register(spec("a"))
		d := f.delta()
		if len(d.GetRemovals()) != 1 || d.GetRemovals()[0].GetReason() != musterv1.RemovalReason_REMOVAL_REASON_FILTERED_OUT {
			t.Errorf("%v", d)
		}
	})
}

func TestFilterMatchesEachField(t *testing.T) {
	i := &musterv1.Instance{
		InstanceId: "a", Version: "1.2.0", Capabilities: []string{"x", "y"},
		Locality:  &musterv1.Locality{Region: "eu", Zone: "eu-1"},
		Endpoints: []*musterv1.Endpoint{{Name: "grpc"}}, Metadata: map[string]string{"k": "v"},
		Shard: &musterv1.Shard{Kind: &musterv1.Shard_KeyRange{KeyRange: &musterv1.KeyRange{Start: []byte("b"), End: []byte("d")}}},
	}
	byKey := func(key string) *musterv1.ShardMatch {
		return &musterv1.ShardMatch{Kind: &musterv1.ShardMatch_Key{Key: []byte(key)}}
	}
	healths := func(h musterv1.Health) []musterv1.Health { return []musterv1.Health{h} }
	for _, c := range []struct {
		yes, no *musterv1.InstanceFilter
	}{
		{&musterv1.InstanceFilter{VersionRange: ">=1.0.0"}, &musterv1.InstanceFilter{VersionRange: "<1.0.0"}},
		{&musterv1.InstanceFilter{Capabilities: []string{"y", "x"}}, &musterv1.InstanceFilter{Capabilities: []string{"x", "z"}}},
		{&musterv1.InstanceFilter{Metadata: []*musterv1.MetadataMatch{{Key: "k"}}}, &musterv1.InstanceFilter{Metadata: []*musterv1.MetadataMatch{{Key: "k", Values: []string{"w"}}}}},
		{&musterv1.InstanceFilter{}, &musterv1.InstanceFilter{Metadata: []*musterv1.MetadataMatch{{Key: "l"}}}},
		{&musterv1.InstanceFilter{Shard: byKey("b")}, &musterv1.InstanceFilter{Shard: byKey("d")}},
		{&musterv1.InstanceFilter{Shard: byKey("cz")}, &musterv1.InstanceFilter{Shard: &musterv1.ShardMatch{Kind: &musterv1.ShardMatch_ShardId{ShardId: 1}}}},
		{&musterv1.InstanceFilter{Healths: healths(musterv1.Health_HEALTH_HEALTHY)}, &musterv1.InstanceFilter{Healths: healths(musterv1.Health_HEALTH_DEGRADED)}},
		{&musterv1.InstanceFilter{Lifecycles: []musterv1.Lifecycle{musterv1.Lifecycle_LIFECYCLE_SERVING}}, &musterv1.InstanceFilter{Lifecycles: []musterv1.Lifecycle{musterv1.Lifecycle_LIFECYCLE_STARTING}}},
		{&musterv1.InstanceFilter{Regions: []string{"us", "eu"}}, &musterv1.InstanceFilter{Regions: []string{"us"}}},
		{&musterv1.InstanceFilter{Zones: []string{"eu-1"}}, &musterv1.InstanceFilter{Zones: []string{"eu-2"}}},
		{&musterv1.InstanceFilter{InstanceIds: []string{"a"}}, &musterv1.InstanceFilter{InstanceIds: []string{"b"}}},
		{&musterv1.InstanceFilter{EndpointNames: []string{"grpc"}}, &musterv1.InstanceFilter{EndpointNames: []string{"admin"}}},
	} {
		if !filterOf(c.yes).Match(candidateOf(i)) || filterOf(c.no).Match(candidateOf(i)) {
			t.Errorf("%v must pass and %v not", c.yes, c.no)
		}
	}
}

func TestResumeByTheRules(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		r.Register(spec("a"))
		held := known(c.watch("", nil).snapshot(first).GetHeader())
		c.watch("", held).progress()
		r.Register(spec("b"))
		if d := c.watch("", held).delta(); d.GetFromRevision() != held.GetRevision() {
			t.Errorf("%v", d)
		}
		r.Compact()
		c.watch("", held).snapshot(compacted)
		held = known(c.watch("", nil).snapshot(first).GetHeader())
		r.Restart()
		synctest.Wait() // until the client knows that its connection broke
		c.watch("", held).progress()
		c.watchSelector("", &musterv1.Selector{Names: &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{}}}, held).snapshot(selector)
		r.LoseHistory()
		synctest.Wait()
		c.watch("", held).snapshot(newEpoch)
		held.Epoch += 2
		stream, err := c.Watch(t.Context(), &musterv1.WatchRequest{
			Subscriptions: []*musterv1.Subscription{{Selector: selectPay(), Resume: held}},
		})
		if err == nil {
			_, err = stream.Recv()
		}
		mustReason(t, err, "EPOCH_BEHIND")
	})
}

func TestResumeWithWhatCameAndWentIsAProgress(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		r.Register(spec("a"))
		held := known(c.watch("", nil).snapshot(first).GetHeader())
		r.Register(spec("b"))
		r.Deregister("shop/pay/b")
		if p := c.watch("", held).progress(); p.GetHeader().GetDigest() != held.GetDigest() {
			t.Errorf("%v", p)
		}
	})
}

func TestCutAndHealResumeTheClient(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		client := r.Client()
		sub := subscribe(t, client)
		r.Register(spec("a"))
		reach(t, sub, time.Second, "a")
		r.Cut()
		r.Register(spec("b"))
		time.Sleep(time.Minute)
		if v := sub.View(); len(v.Instances()) != 1 || v.Freshness() == muster.Fresh {
			t.Errorf("%v instances, %v", len(v.Instances()), v.Freshness())
		}
		r.Heal()
		reach(t, sub, 10*time.Second, "a", "b")
		r.Restart()
		r.Register(spec("c"))
		reach(t, sub, 10*time.Second, "a", "b", "c")
		unharmed(t, client)
	})
}

func TestLostHistoryKeepsInstancesAsUnconfirmed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		client := r.Client()
		register(t, r.Client(), spec("a"))
		r.Register(spec("b"))
		sub := subscribe(t, client)
		reach(t, sub, time.Second, "a", "b")
		r.LoseHistory()
		time.Sleep(20 * time.Second)
		v := reach(t, sub, time.Second, "a", "b")
		if all := v.Instances(); all[0].Unconfirmed || !all[1].Unconfirmed {
			t.Errorf("a came back, and b did not: %+v", all)
		}
		if v.Position().Epoch != 2 {
			t.Errorf("at %v", v.Position())
		}
		time.Sleep(time.Minute)
		reach(t, sub, time.Second, "a")
		unharmed(t, client)
	})
}

func TestUpdateWatchAddsAndRemoves(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		f := c.watch("", nil)
		f.snapshot(first)
		add := &musterv1.Subscription{SubscriptionId: 2, Selector: &musterv1.Selector{
			Names: &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{Namespace: "shop"}},
		}}
		if _, err := c.UpdateWatch(t.Context(), &musterv1.UpdateWatchRequest{
			StreamId: f.opened.GetStreamId(), Add: []*musterv1.Subscription{add}, Remove: []uint32{1},
		}); err != nil {
			t.Fatal(err)
		}
		if o := f.next().GetOpened(); o.GetSubscriptions()[0].GetSubscriptionId() != 2 {
			t.Errorf("%v", o)
		}
		f.snapshot(first)
		r.Register(spec("a"))
		f.delta()
		synctest.Wait()
		_, err := c.UpdateWatch(t.Context(), &musterv1.UpdateWatchRequest{StreamId: "none"})
		mustReason(t, err, "STREAM_UNKNOWN")
		_, err = c.AckWatch(t.Context(), &musterv1.AckWatchRequest{StreamId: "none"})
		mustReason(t, err, "STREAM_UNKNOWN")
	})
}

func TestSubscriptionsOfOneViewShareItsFrames(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		f := c.watch("", nil)
		f.snapshot(first)
		if _, err := c.UpdateWatch(t.Context(), &musterv1.UpdateWatchRequest{
			StreamId: f.opened.GetStreamId(), Add: []*musterv1.Subscription{{SubscriptionId: 2, Selector: selectPay()}},
		}); err != nil {
			t.Fatal(err)
		}
		if o := f.next().GetOpened(); o.GetSubscriptions()[0].GetViewId() != f.opened.GetSubscriptions()[0].GetViewId() {
			t.Errorf("%v", o)
		}
		f.snapshot(first)
		r.Register(spec("a"))
		f.delta()
		f.progress()
	})
}

func TestLargeSetsComeInChunks(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		var want []string
		for n := range 40 {
			s := spec(fmt.Sprintf("i%02d", n))
			s.Metadata = map[string]string{"filling": strings.Repeat("x", 15<<10)}
			r.Register(s)
			want = append(want, s.ID)
		}
		f := newRaw(t, r).watch("", nil)
		var ids []string
		chunks := 0
		for last := false; !last; chunks++ {
			s := f.snapshot(first)
			last = s.GetChunk().GetPosition() == musterv1.ChunkPosition_CHUNK_POSITION_FINAL
			if int(s.GetChunk().GetIndex()) != chunks {
				t.Errorf("index %d, want %d", s.GetChunk().GetIndex(), chunks)
			}
			for _, i := range s.GetInstances() {
				ids = append(ids, i.GetInstanceId())
			}
		}
		if chunks != 3 || !slices.Equal(ids, want) {
			t.Errorf("%d chunks with %v", chunks, ids)
		}
		client := r.Client()
		reach(t, subscribe(t, client), time.Second, want...)
		unharmed(t, client)
	})
}

func TestStreamsOfOtherClustersAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		for want, req := range map[string]*musterv1.WatchRequest{
			"WRONG_CLUSTER":    {ClusterId: "other"},
			"INVALID_ARGUMENT": {},
		} {
			stream, err := c.Watch(t.Context(), req)
			if err == nil {
				_, err = stream.Recv()
			}
			mustReason(t, err, want)
		}
	})
}
