package registry

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/lease"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

const (
	connectionSource = musterv1.HealthSource_HEALTH_SOURCE_CONNECTION
	// suspectAfter is how long a lease whose stream broke may take to turn up
	// again until its instances are said to be unhealthy.
	suspectAfter = 2 * time.Second
	// A mass break is a network event and makes nobody suspect: this many
	// streams, and this share of all in percent, within massWindow.
	massBreaks  = 10
	massPercent = 30
	massWindow  = time.Second
	// suspectPause is when to look again if nothing is suspect.
	suspectPause = time.Minute
)

// suspects are the leases whose keepalive stream broke. Nobody else is told:
// only the verdict, if it comes to that, is written. Who renews which lease is
// known to the lease table.
type suspects struct {
	mu      sync.Mutex
	broken  map[string]time.Time
	streams int
	breaks  []time.Time // those within massWindow
}

func newSuspects() suspects { return suspects{broken: map[string]time.Time{}} }

func (s *suspects) opened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams++
}

// none tells whether no lease is suspect.
func (s *suspects) none() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.broken) == 0
}

// cleared is told of leases that are renewed on a stream, which is their holder
// by now.
func (s *suspects) cleared(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.broken, id)
	}
}

// forget is told of a lease that is gone.
func (s *suspects) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.broken, id)
}

// again makes a lease suspect whose verdict could not be written.
func (s *suspects) again(leases *lease.Table, id string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !leases.Held(id) {
		s.broken[id] = now.Add(tendRetry - suspectAfter)
	}
}

// closed takes a stream's end. Leases that moved to another stream meanwhile
// are not concerned. The table is asked with the lock held: a lease that comes
// back is cleared before it is made suspect, or after.
func (s *suspects) closed(leases *lease.Table, h lease.Holder, broken bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mass := broken && s.countBreak(now)
	s.streams--
	if !broken || mass {
		leases.CloseHolder(h, nil)
		return
	}
	leases.CloseHolder(h, func(id string) { s.broken[id] = now })
}

// countBreak counts a break, and tells whether it belongs to a mass break. The
// ones of it that came first are cleared then.
func (s *suspects) countBreak(now time.Time) bool {
	for len(s.breaks) > 0 && now.Sub(s.breaks[0]) > massWindow {
		s.breaks = s.breaks[1:]
	}
	s.breaks = append(s.breaks, now)
	before := s.streams + len(s.breaks) - 1
	if len(s.breaks) < massBreaks || len(s.breaks)*100 < massPercent*before {
		return false
	}
	for id, at := range s.broken {
		if now.Sub(at) <= massWindow {
			delete(s.broken, id)
		}
	}
	return true
}

// due takes out the suspects whose time is up, and tells when to look again.
func (s *suspects) due(now time.Time) (ids []string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = suspectPause
	for id, at := range s.broken {
		if left := at.Add(suspectAfter).Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		ids = append(ids, id)
		delete(s.broken, id)
	}
	return ids, wait
}

// judgeSuspects writes the verdict on suspects whose time is up, and takes it
// back for those that are renewed again.
func (r *Registry) judgeSuspects(ctx context.Context) time.Duration {
	ids, wait := r.suspects.due(time.Now())
	for _, id := range ids {
		if err := r.setConnection(ctx, id, musterv1.Health_HEALTH_UNHEALTHY); err != nil {
			r.log.Warn("that a keepalive stream broke could not be written down; trying again", "error", err)
			r.suspects.again(r.leases, id, time.Now())
			wait = min(wait, tendRetry)
		} else {
			r.work.noticeJudged(id)
		}
	}
	v := r.View()
	for _, id := range r.work.judgedLeases() {
		if v.Lease(id) == nil {
			r.work.forgetJudged(id)
		}
	}
	// A lease that came back between the decision and the commit is cleared
	// here too: the list is read after the commit.
	for _, id := range r.work.judgedLeases() {
		if !r.leases.Held(id) {
			continue
		}
		if err := r.setConnection(ctx, id, musterv1.Health_HEALTH_HEALTHY); err != nil {
			wait = min(wait, tendRetry)
			continue
		}
		r.work.forgetJudged(id)
	}
	return wait
}

// setConnection writes the connection's word on all instances of a lease.
func (r *Registry) setConnection(ctx context.Context, leaseID string, h musterv1.Health) error {
	now := time.Now()
	_, err := r.change(ctx, func(v *view.View) (*store.Mutation, error) {
		l := v.Lease(leaseID)
		if l == nil || (h != musterv1.Health_HEALTH_HEALTHY && r.leases.Held(leaseID)) {
			return nil, nil
		}
		m := &store.Mutation{Guards: []store.Guard{{Key: l.Key, Revision: l.ModRevision}}}
		slot := &musterv1.HealthSlot{Source: connectionSource, Health: h, SinceTime: timestamppb.New(now)}
		if h != musterv1.Health_HEALTH_HEALTHY {
			slot.Reason = "the keepalive stream broke and did not come back"
		}
		for _, in := range instancesOf(v, l) {
			next := in.Proto()
			if setSlot(next, slot) {
				addRewrite(m, in, next, in.DrainDeadlineMS(), now)
			}
		}
		if len(m.Puts) == 0 {
			return nil, nil
		}
		return m, nil
	})
	return err
}
