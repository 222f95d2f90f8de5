package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
)

// content is all that a view shows, as text.
func content(v *View) (lines []string) {
	instances := 0
	v.ServicesFrom(record.ServiceName{}, func(s *Service) bool {
		var digest, count uint64
		if s.State != nil {
			lines = append(lines, fmt.Sprintf("%s: %v", s.Name, s.State.ServiceState))
			digest, count = s.State.Hash, 1
		}
		for in := range s.Instances {
			lines = append(lines, fmt.Sprintf("%s: lease %s, %v", in, in.LeaseID(), in.Proto()))
			digest += in.Hash
			count++
			instances++
		}
		if digest != s.Digest || count != s.Count || count == 0 {
			lines = append(lines, fmt.Sprintf("%s: digest %d and count %d, should be %d and %d", s.Name, s.Digest, s.Count, digest, count))
		}
		return true
	})
	var leases []string
	for l := range v.AllLeases {
		leases = append(leases, fmt.Sprintf("lease %s: %v", l.ID(), l.Record()))
	}
	slices.Sort(leases)
	lines = append(lines, leases...)
	return append(lines, fmt.Sprintf("epoch %d, revision %d, %d instances of %d", v.Epoch, v.Revision, v.Instances(), instances))
}

func draw(t *rapid.T, key string) []byte {
	switch record.KindOf(key) {
	case record.KindInstance:
		n, _ := record.ParseInstance(key)
		return record.Instance{
			LeaseID: rapid.SampledFrom([]string{"l", "m"}).Draw(t, "lease"),
			Public: record.EncodePublic(&musterv1.Instance{
				Namespace: n.Namespace, Service: n.Service, InstanceId: n.ID, Tag: rapid.Uint64().Draw(t, "tag"),
			}),
		}.Encode()
	case record.KindService:
		n, _ := record.ParseService(key)
		return record.EncodeService(&musterv1.ServiceState{Namespace: n.Namespace, Service: n.Service, Tag: rapid.Uint64().Draw(t, "tag")})
	default:
		return []byte("newer")
	}
}

// TestViewsNeverChange is invariant 3: whatever is built from it, a view that
// was published shows what it showed; and loading the same state gives the
// same view as following its history (M1.4a).
func TestViewsNeverChange(t *testing.T) {
	keys := []string{"/i/shop/pay/a", "/i/shop/pay/b", "/i/shop/cart/a", "/i/shop-eu/pay/a", "/v/shop/pay", "/v/shop/cart", "/v/shop-eu/pay", "/x/unknown"}
	rapid.Check(t, func(t *rapid.T) {
		b := NewBuilder()
		state := map[string]store.Entry{}
		for i, l := range []string{"l", "m"} {
			state["/l/"+l] = store.Entry{Key: "/l/" + l, Value: record.EncodeLease(&record.Lease{TtlMs: 1}), CreateRevision: uint64(i + 1), ModRevision: uint64(i + 1)}
		}
		entries := func(yield func(*store.Entry) bool) {
			for _, k := range slices.Sorted(maps.Keys(state)) {
				if e := state[k]; !yield(&e) {
					return
				}
			}
		}
		first, err := b.Restore(2, entries)
		if err != nil {
			t.Fatal(err)
		}
		views, shown := []*View{first}, [][]string{content(first)}
		for revision := uint64(3); revision < 60; {
			var commits []store.Commit
			for range rapid.IntRange(1, 4).Draw(t, "commits") {
				c := store.Commit{Revision: revision}
				for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 1, 4, rapid.ID).Draw(t, "keys") {
					old, there := state[k]
					if there && rapid.Bool().Draw(t, "delete") {
						c.Events = append(c.Events, store.Event{Entry: &store.Entry{Key: k, CreateRevision: old.CreateRevision, ModRevision: old.ModRevision}, Deleted: true})
						delete(state, k)
						continue
					}
					e := store.Entry{Key: k, Value: draw(t, k), CreateRevision: revision, ModRevision: revision}
					if there {
						e.CreateRevision = old.CreateRevision
					}
					state[k] = e
					c.Events = append(c.Events, store.Event{Entry: &e})
				}
				commits = append(commits, c)
				revision++
			}
			v, _, err := b.Apply(commits)
			if err != nil {
				t.Fatal(err)
			}
			views, shown = append(views, v), append(shown, content(v))
			loaded, err := NewBuilder().Restore(v.Revision, entries)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(content(v), content(loaded)); diff != "" {
				t.Fatalf("loading gives another view than following (-followed +loaded):\n%s", diff)
			}
		}
		for i, v := range views {
			if diff := cmp.Diff(shown[i], content(v)); diff != "" {
				t.Fatalf("the view at %d changed:\n%s", v.Revision, diff)
			}
		}
	})
}

// TestWhatCannotBeApplied is an error, with the key and the revision.
func TestWhatCannotBeApplied(t *testing.T) {
	orphan := record.Instance{LeaseID: "nobody"}.Encode()
	for name, e := range map[string]store.Entry{
		"an instance without a lease": {Key: "/i/shop/pay/a", Value: orphan},
		"no instance record":          {Key: "/i/shop/pay/a", Value: []byte{0xff}},
		"no instance key":             {Key: "/i/shop", Value: orphan},
		"no service key":              {Key: "/v/shop", Value: nil},
		"no service record":           {Key: "/v/shop/pay", Value: []byte{0xff}},
		"no lease record":             {Key: "/l/x", Value: []byte{0xff}},
		"no epoch record":             {Key: "/e", Value: []byte{0xff}},
	} {
		e.CreateRevision, e.ModRevision = 7, 7
		_, _, err := NewBuilder().Apply([]store.Commit{{Revision: 7, Events: []store.Event{{Entry: &e}}}})
		if err == nil || !strings.Contains(err.Error(), e.Key) || !strings.Contains(err.Error(), "revision 7") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := NewBuilder().Restore(7, func(yield func(*store.Entry) bool) { yield(&e) }); err == nil {
			t.Errorf("%s is loaded", name)
		}
	}
}
