package server_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/servertest"
	"github.com/muster-registry/muster/server/store"
)

func retryAfter(err error) time.Duration {
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			return r.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// TestStoreWithoutRoom: STORE_FULL changes nothing, may be retried, and expires
// nobody twice.
func TestStoreWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		req := servertest.Register(time.Hour, servertest.Instance("pay", "pay-1"))
		s.Store().FailNext(store.ErrFull)
		_, err := c.Register(t.Context(), req)
		wantReason(t, err, "STORE_FULL")
		if status.Code(err) != codes.Unavailable || retryAfter(err) <= 0 {
			t.Errorf("register = %v with retry after %v, want Unavailable and some time", err, retryAfter(err))
		}
		if n := len(lookup(t, c, "pay").GetInstances()); n != 0 {
			t.Errorf("%d instances, want none", n)
		}
		if _, err := c.Register(t.Context(), req); err != nil {
			t.Errorf("retry: %v", err)
		}
	})
}

// TestExpiryWaitsForRoom: what the store refuses is tried again, and the lease
// is not half gone meanwhile.
func TestExpiryWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		time.Sleep(10 * time.Second)
		res, err := c.Register(t.Context(), servertest.Register(2*time.Second, servertest.Instance("pay", "pay-1")))
		if err != nil {
			t.Fatal(err)
		}
		for range 20 { // a second of sweeps
			s.Store().FailNext(store.ErrFull)
		}
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		if n := len(lookup(t, c, "pay").GetInstances()); n != 1 {
			t.Fatal("expired, but there was no room")
		}
		if x := openKeepAlive(t, c).renew([]string{res.GetLease().GetLeaseId()}).GetExceptions(); len(x) != 0 {
			t.Errorf("exceptions = %v: an expiry that failed must not keep the holder from renewing", x)
		}
		time.Sleep(1900 * time.Millisecond)
		synctest.Wait()
		if n := len(lookup(t, c, "pay").GetInstances()); n != 1 {
			t.Error("expired within the TTL of the renewal")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(lookup(t, c, "pay").GetInstances()); n != 0 {
			t.Error("did not expire when there was room again")
		}
	})
}

// TestExpiringIsUnconfirmed is M6.2a and M6.4b: while an expiry is under way
// the lease is neither confirmed nor lost; the answer says when to try again.
func TestExpiringIsUnconfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		time.Sleep(10 * time.Second)
		res, err := c.Register(t.Context(), servertest.Register(2*time.Second, servertest.Instance("pay", "pay-1")))
		if err != nil {
			t.Fatal(err)
		}
		k := openKeepAlive(t, c)
		s.Store().Hold()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		leases := []string{res.GetLease().GetLeaseId()}
		x := k.renew(leases).GetExceptions()
		if len(x) != 1 || x[0].GetUnconfirmed().GetReason() != musterv1.UnconfirmedReason_UNCONFIRMED_REASON_EXPIRING || x[0].GetUnconfirmed().GetRetryAfter().AsDuration() <= 0 {
			t.Fatalf("exceptions = %v, want EXPIRING and when to try again", x)
		}
		s.Store().Release()
		synctest.Wait()
		if x := k.renew(leases).GetExceptions(); len(x) != 1 || x[0].GetLost() == nil {
			t.Errorf("exceptions = %v, want the lease lost", x)
		}
	})
}

// TestRetryOfAnExpiringRegistration: it is neither answered with a lease that
// ends at this moment, nor with a second one.
func TestRetryOfAnExpiringRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		time.Sleep(10 * time.Second)
		req := servertest.Register(2*time.Second, servertest.Instance("pay", "pay-1"))
		first, err := c.Register(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		s.Store().Hold()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		_, err = c.Register(t.Context(), req)
		wantReason(t, err, "CONFLICT")
		s.Store().Release()
		synctest.Wait()
		again, err := c.Register(t.Context(), req)
		if err != nil || again.GetLease().GetLeaseId() == first.GetLease().GetLeaseId() {
			t.Errorf("register = %v, %v; want a new lease", again, err)
		}
	})
}

// TestStoreThatIsBusy: OVERLOADED, with a time to wait.
func TestStoreThatIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		s.Store().SetCapacity(0)
		_, err := c.Register(t.Context(), servertest.Register(time.Hour, servertest.Instance("pay", "pay-1")))
		wantReason(t, err, "OVERLOADED")
		if status.Code(err) != codes.ResourceExhausted || retryAfter(err) <= 0 {
			t.Errorf("register = %v with retry after %v", err, retryAfter(err))
		}
	})
}

// TestStoreThatFails: the outcome of what was under way is unknown, and said to
// be; after a restart a retry with the same request_id finds out.
func TestStoreThatFails(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := servertest.New(t)
			c := s.Dial()
			req := servertest.Register(time.Hour, servertest.Instance("pay", "pay-1"))
			s.Store().Hold()
			errs := make(chan error, 1)
			go func() {
				_, err := c.Register(context.WithoutCancel(t.Context()), req)
				errs <- err
			}()
			synctest.Wait()
			s.Store().Fail(errors.New("the disk burns"), keeps)
			err := <-errs
			wantReason(t, err, "STORE_FAILED")
			if status.Code(err) != codes.Unavailable {
				t.Errorf("code = %v, want Unavailable", status.Code(err))
			}
			synctest.Wait()
			s.Kill()
			s.Start()
			c = s.Dial()
			if n := len(lookup(t, c, "pay").GetInstances()); (n == 1) != keeps {
				t.Errorf("%d instances after the restart, kept was %v", n, keeps)
			}
			if _, err := c.Register(t.Context(), req); err != nil {
				t.Errorf("retry: %v", err)
			}
		})
	}
}

// meddler is a store in which others change an instance just before a proposal
// on it, for n times.
type meddler struct {
	store.Store
	t *testing.T
	n atomic.Int64
}

// Propose writes another weight first.
func (m *meddler) Propose(mut store.Mutation, done func(store.Outcome, error)) {
	for _, g := range mut.Guards {
		i := slices.IndexFunc(mut.Puts, func(p store.Put) bool { return p.Key == g.Key })
		if i < 0 || g.Revision == 0 || !strings.HasPrefix(g.Key, "/i/") || m.n.Add(-1) < 0 {
			continue
		}
		r, err := record.DecodeInstance(mut.Puts[i].Value)
		if err != nil {
			m.t.Error(err)
		}
		in := &musterv1.Instance{}
		if err := proto.Unmarshal(r.Public, in); err != nil {
			m.t.Error(err)
		}
		in.Weight = proto.Uint32(1000 + uint32(m.n.Load()))
		r.Public = record.EncodePublic(in)
		m.Store.Propose(store.Mutation{
			Guards: []store.Guard{g}, Puts: []store.Put{{Key: g.Key, Value: r.Encode()}},
		}, func(store.Outcome, error) {})
	}
	m.Store.Propose(mut, done)
}

// TestChangesAreDecidedFiveTimes is rule 5.5: what was decided from something
// that changed is decided anew; after five times it is CONFLICT.
func TestChangesAreDecidedFiveTimes(t *testing.T) {
	for failures, want := range map[int64]string{4: "", 5: "CONFLICT"} {
		synctest.Test(t, func(t *testing.T) {
			s := servertest.New(t)
			s.Kill()
			m := &meddler{t: t}
			s.Wrap = func(st store.Store) store.Store { m.Store = st; return m }
			s.Start()
			c := s.Dial()
			l := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
			m.n.Store(failures)
			in := servertest.Instance("pay", "pay-1")
			in.Weight = proto.Uint32(7)
			_, err := c.Update(t.Context(), &musterv1.UpdateRequest{LeaseId: l.GetLeaseId(), Instance: in, UpdateMask: mask("weight")})
			wantReason(t, err, want)
			if weight := lookup(t, c, "pay").GetInstances()[0].GetWeight(); (weight == 7) != (want == "") {
				t.Errorf("weight = %d after %d others, want %q", weight, failures, want)
			}
		})
	}
}

// TestPanicsBecomeInternal: a defect in one call costs that call.
func TestPanicsBecomeInternal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		s.Kill()
		s.Wrap = func(st store.Store) store.Store { return fragile{st} }
		s.Start()
		c := s.Dial()
		_, err := c.Register(t.Context(), servertest.Register(time.Hour, servertest.Instance("fragile", "x")))
		wantReason(t, err, "INTERNAL")
		if strings.Contains(status.Convert(err).Message(), "ouch") {
			t.Errorf("the error shows the panic: %v", err)
		}
		l := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		k := openKeepAlive(t, c)
		k.renew([]string{l.GetLeaseId()})
		if n := len(lookup(t, c, "pay").GetInstances()); n != 1 {
			t.Errorf("%d instances, want 1", n)
		}
	})
}

// fragile is a store that panics.
type fragile struct{ store.Store }

// Propose panics on what belongs to one service.
func (f fragile) Propose(m store.Mutation, done func(store.Outcome, error)) {
	for _, p := range m.Puts {
		if strings.HasPrefix(p.Key, "/i/shop/fragile/") {
			panic("ouch")
		}
	}
	f.Store.Propose(m, done)
}
