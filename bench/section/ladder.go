package section

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muster-registry/muster/bench/drive"
)

// ladderStreams is how many streams a connection of the ladder's server may
// have: the watchers of the scaling section.
const ladderStreams = "1000"

// ladder is one server that is filled step by step, since a million instances,
// each with its own lease, take the better part of a minute: the sections
// scaling, held and restart share it, one after the other.
type ladder struct {
	*durable
	held int
	// empty is the memory of the server before it held anything.
	empty int64
	// record is how many bytes the store keeps for each instance and its lease.
	record float64
}

// sizes are the steps of the ladder.
func (r *Run) sizes() []int {
	return Pick(r, []int{1_000, 10_000, 100_000}, []int{1_000, 10_000, 100_000, 1_000_000})
}

// top is the last of them.
func (r *Run) top() int { return r.sizes()[len(r.sizes())-1] }

// climb returns the ladder's server when it holds n instances.
func (r *Run) climb(ctx context.Context, n int) (*ladder, error) {
	if r.ladder != nil && r.ladder.held > n {
		if err := r.closeLadder(); err != nil {
			return nil, err
		}
	}
	if r.ladder == nil {
		if err := r.newLadder(ctx); err != nil {
			return nil, err
		}
	}
	l := r.ladder
	if l.held < n {
		start := time.Now()
		if err := l.Server.(drive.Grower).Grow(ctx, n); err != nil {
			return nil, errors.Join(fmt.Errorf("hold %d instances: %w", n, err), l.Process().Err())
		}
		r.Logf("%d instances more, each with its own lease, in %.1f s", n-l.held, time.Since(start).Seconds())
		l.held = n
	}
	return l, nil
}

func (r *Run) newLadder(ctx context.Context) error {
	if err := r.CloseShared(); err != nil {
		return err
	}
	// Before the ladder's server runs, which it would disturb.
	record, err := r.recordBytes(ctx)
	if err != nil {
		return err
	}
	d, err := r.durable(ctx, "muster", drive.Config{
		Conns: UnaryConns, Flags: map[string]string{"limits.streams-per-connection": ladderStreams},
	})
	if err != nil {
		return err
	}
	r.ladder = &ladder{durable: d, record: record}
	r.ladder.empty, err = d.Process().RSS()
	return err
}

// crash kills the ladder's server and starts it again on its data.
func (l *ladder) crash(ctx context.Context) (comeback, error) {
	leases := l.Server.(drive.Grower).Leases()
	c, err := l.durable.crash(ctx, l.held)
	if err == nil {
		l.Server.(drive.Grower).Adopt(leases)
	}
	return c, err
}

// closeLadder ends the ladder's server, if it runs.
func (r *Run) closeLadder() error {
	if r.ladder == nil {
		return nil
	}
	err := r.ladder.Close()
	r.ladder = nil
	return err
}

// sizeName is a size in the keys of figures: 1k, 10k, 100k, 1m.
func sizeName(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%dm", n/1_000_000)
	}
	return fmt.Sprintf("%dk", n/1000)
}
