package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	muster "github.com/muster-registry/muster/client-go"
)

// user is a program that embeds the Go client: it registers something, and
// watches something.
type user struct {
	world        *world
	client       *muster.Client
	registration *muster.Registration
	id, service  string
	wish         wish
	subscription *muster.Subscription
}

func newUser(w *world, i int) *user {
	u := &user{world: w, service: services[w.rng.IntN(len(services))], id: fmt.Sprintf("user-%d", i), wish: randomWish(w.rng)}
	c, err := muster.New([]string{"127.0.0.1:7070"}, muster.WithDial(w.server.DialContext), muster.WithName(u.id),
		muster.WithTTL(time.Duration(3+w.rng.IntN(15))*time.Second))
	if err != nil {
		w.t.Fatal(err)
	}
	u.client = c
	if u.subscription, err = c.Subscribe(u.wish.clientSelector()); err != nil {
		w.t.Fatal(err)
	}
	return u
}

// clientSelector is the wish in the client's words.
func (w wish) clientSelector() muster.Selector {
	var s muster.Selector
	if w.services == nil {
		s.Prefix = &muster.ServicePrefix{Namespace: "shop", Prefix: w.prefix}
	}
	for _, n := range w.services {
		s.Services = append(s.Services, muster.ServiceName{Namespace: "shop", Service: n})
	}
	if w.minor > 0 {
		s.Filter.VersionRange = fmt.Sprintf(">=1.%d.0", w.minor)
	}
	if w.zone != "" {
		s.Filter.Zones = []string{w.zone}
	}
	if w.tier != "" {
		s.Filter.Metadata = []muster.MetadataMatch{{Key: "tier", Values: []string{w.tier}}}
	}
	if w.serving {
		s.Filter.Lifecycles = []muster.Lifecycle{muster.Serving}
	}
	return s
}

func (u *user) register() {
	if u.registration != nil {
		return
	}
	spec := muster.InstanceSpec{
		Namespace: "shop", Service: u.service, ID: u.id, Version: "1.1.0",
		Endpoints: []muster.EndpointSpec{{Address: "10.0.0.9:80"}},
	}
	r, err := u.client.Register(u.world.t.Context(), spec)
	if err == nil {
		u.registration = r
	}
}

func (u *user) act() {
	rng := u.world.rng
	switch {
	case u.registration == nil:
		u.register()
	case rng.IntN(3) == 0:
		u.registration.SetMetadata(map[string]string{"tier": []string{"gold", "iron"}[rng.IntN(2)]})
	default:
		u.registration.SetWeight(uint32(rng.IntN(200)))
	}
}

// judge holds what the client shows, at any moment, to the model: the view is
// the very set of its revision, whatever happened to the connection.
func (u *user) judge() {
	v := u.subscription.View()
	at := v.Position()
	if at.Revision == 0 {
		return
	}
	s, ok := u.world.history.at(at.Revision)
	u.world.must("client/revision", ok, "%s shows revision %d, which was never committed", u.id, at.Revision)
	want, got := s.matching(u.wish), map[string]seen{}
	for _, in := range v.Instances() {
		got["/i/"+in.Namespace+"/"+in.Service+"/"+in.ID] = want["/i/"+in.Namespace+"/"+in.Service+"/"+in.ID]
		e := s["/i/"+in.Namespace+"/"+in.Service+"/"+in.ID]
		u.world.must("client/M2.12", e.ModRevision == in.ModifyRevision, "%s shows %s at %d, it is at %d", u.id, in.ID, in.ModifyRevision, e.ModRevision)
	}
	for _, st := range v.Services() {
		got["/v/"+st.Namespace+"/"+st.Service] = want["/v/"+st.Namespace+"/"+st.Service]
	}
	same := len(got) == len(want)
	for k := range want {
		_, has := got[k]
		same = same && has
	}
	u.world.must("client/M2.12", same, "%s at %d shows %d entries, want %d", u.id, at.Revision, len(got), len(want))
}

// judgeEnd holds it to what must be true when everything was well for long.
func (u *user) judgeEnd() {
	revision, s := u.world.history.head()
	at := u.subscription.View().Position().Revision
	shown, _ := u.world.history.at(at)
	u.world.must("client/converges", digestOf(shown.matching(u.wish)) == digestOf(s.matching(u.wish)), "%s is still at %d, head is %d", u.id, at, revision)
	if u.registration == nil {
		return
	}
	_, there := s["/i/shop/"+u.service+"/"+u.id]
	st := u.registration.Status()
	u.world.must("client/registered", there && st.State == muster.Active, "%s: there %v, state %v (%v)", u.id, there, st.State, st.Err)
}

// TestSimulatedClients runs programs that embed the Go client through restarts
// and full disks: every view is exact at every moment, nobody who is connected
// is ever dropped, and all come back (go-zero#4201, kratos#3883, etcd#13156,
// nacos-sdk-go#587).
func TestSimulatedClients(t *testing.T) {
	first, n := seeds(t)
	r := &rules{n: map[string]int{}}
	for seed := first; seed < first+n/2; seed++ {
		synctest.Test(t, func(t *testing.T) { runUsers(t, seed, r) })
		if t.Failed() {
			return
		}
	}
	for _, id := range []string{"client/M2.12", "client/converges", "client/registered", "client/kept"} {
		if r.n[id] == 0 && n > 10 {
			t.Errorf("rule %s was never put to the proof", id)
		}
	}
}

func runUsers(t *testing.T, seed uint64, r *rules) {
	w := newWorld(t, seed, r)
	var users []*user
	for i := range 4 {
		users = append(users, newUser(w, i))
	}
	for step := range 120 {
		w.step.Store(int64(step))
		if w.rng.IntN(2) == 0 {
			users[w.rng.IntN(len(users))].act()
		} else {
			w.act()
		}
		w.settle()
		for _, u := range users {
			u.judge()
		}
		if w.failed.Load() {
			break
		}
	}
	time.Sleep(time.Minute)
	w.settle()
	for _, u := range users {
		u.judge()
		u.judgeEnd()
	}
	u := users[0]
	if u.registration != nil && !w.failed.Load() {
		kept(w, u)
	}
	for _, u := range users {
		if err := u.client.Close(); err != nil {
			t.Errorf("seed %d: close: %v", seed, err)
		}
	}
	for _, x := range w.watchers {
		x.resume()
		x.close()
	}
	for _, h := range w.holders {
		h.hangUp()
	}
}

// kept restarts the server under a registration that is well: it keeps its
// lease, since no TTL passes.
func kept(w *world, u *user) {
	before := u.registration.Status().Incarnation
	w.server.Kill()
	w.mu.Lock()
	w.clients = nil
	w.mu.Unlock()
	time.Sleep(500 * time.Millisecond)
	w.server.Start()
	time.Sleep(30 * time.Second)
	w.settle()
	st := u.registration.Status()
	w.must("client/kept", st.State == muster.Active && st.Incarnation == before, "%s after a restart: %v, incarnation %d, before %d", u.id, st.State, st.Incarnation, before)
}
