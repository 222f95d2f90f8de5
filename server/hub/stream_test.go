package hub

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/selector"
	"github.com/muster-registry/muster/server/view"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// newHub is a hub at revision 1 of an empty registry.
func newHub() *Hub {
	h := New(Options{ClusterID: "c", Started: start, Limits: &musterv1.Limits{SubscriptionsPerStream: 1000}})
	h.Reset(&view.View{Epoch: 7, Revision: 1})
	return h
}

func compile(t testing.TB, s *musterv1.Selector) *selector.Selector {
	t.Helper()
	sel, err := selector.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return sel
}

func named(t testing.TB, services ...string) *selector.Selector {
	t.Helper()
	list := &musterv1.ServiceNames{}
	for _, n := range services {
		list.Names = append(list.Names, &musterv1.ServiceName{Namespace: "shop", Service: n})
	}
	return compile(t, &musterv1.Selector{Names: &musterv1.Selector_Services{Services: list}})
}

func frameOf(t testing.TB, b []byte) *musterv1.WatchResponse {
	t.Helper()
	f := &musterv1.WatchResponse{}
	if err := proto.Unmarshal(b, f); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestStreamThatIsNotReadHoldsLittle: a client that changes its subscriptions
// again and again without reading costs no more than what it has in the end.
func TestStreamThatIsNotReadHoldsLittle(t *testing.T) {
	h := newHub()
	s := h.Open(Client{}, nil)
	defer s.Close(start)
	for i := range uint32(10_000) {
		if err := s.Change([]uint32{i}, []Request{{ID: i + 1, Selector: named(t, fmt.Sprint("s", i))}}, start); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.opened.GetSubscriptions()); n != 1 {
		t.Errorf("%d answers are kept, want 1", n)
	}
	if n := len(s.ready); n != 1 {
		t.Errorf("%d watchers are queued, want 1", n)
	}
	if st := h.Stats(); st.Groups != 1 || st.Watchers != 1 {
		t.Errorf("stats = %+v, want one group with one watcher", st)
	}
	messages, _ := s.Next(start)
	if o := frameOf(t, messages[0]).GetOpened(); len(o.GetSubscriptions()) != 1 || o.GetSubscriptions()[0].GetSubscriptionId() != 10_000 {
		t.Errorf("opened = %v, want subscription 10,000", o)
	}
	if messages, _ = s.Next(start); frameOf(t, messages[0]).GetSnapshot() == nil {
		t.Error("no snapshot follows")
	}
	if messages, _ = s.Next(start); messages != nil {
		t.Errorf("and then %v", frameOf(t, messages[0]))
	}
}

// TestClosedStreamsLeaveNothing: groups end with their last watcher, and those
// who went are remembered for a while only.
func TestClosedStreamsLeaveNothing(t *testing.T) {
	h := newHub()
	for i := range 100 {
		s := h.Open(Client{}, nil)
		if err := s.Change(nil, []Request{{ID: 1, Selector: named(t, fmt.Sprint("s", i), "pay")}}, start); err != nil {
			t.Fatal(err)
		}
		s.Next(start) // Opened
		s.Next(start) // Snapshot
		s.Close(start)
		s.Close(start)
		if err := s.Change(nil, nil, start); !errors.Is(err, ErrEnded) {
			t.Errorf("change after close = %v, want ErrEnded", err)
		}
	}
	if st := h.Stats(); st.Groups+st.Watchers+st.Streams != 0 || len(h.byName) != 0 {
		t.Errorf("stats = %+v, %d names; want nothing", st, len(h.byName))
	}
	if len(h.ended) != 100 {
		t.Errorf("%d ended watchers are remembered, want 100", len(h.ended))
	}
	if h.pruneEnded(start.Add(disconnectGrace)); len(h.ended) != 0 {
		t.Errorf("%d ended watchers are remembered after the grace", len(h.ended))
	}
}
