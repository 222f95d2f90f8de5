package section

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded"
)

// recordBytes is how many bytes the store keeps for an instance of the ladder
// and its lease, keys and values, read from the data of a small server.
func (r *Run) recordBytes(ctx context.Context) (bytes float64, err error) {
	const sample = 1000
	d, err := r.durable(ctx, "muster", drive.Config{Conns: UnaryConns})
	if err != nil {
		return 0, err
	}
	if d == nil {
		return 0, errors.New("this section needs muster")
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err = d.Server.(drive.Grower).Grow(ctx, sample); err != nil {
		return 0, fmt.Errorf("hold %d instances: %w", sample, err)
	}
	if err = d.Process().Kill(); err != nil {
		return 0, err
	}
	s, err := embedded.Open(embedded.Options{Dir: d.config.Dir})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var c counter
	if err = s.Start(&c); err != nil {
		return 0, err
	}
	if c.instances != sample {
		return 0, fmt.Errorf("the store has %d instances of %d", c.instances, sample)
	}
	return float64(c.bytes) / sample, nil
}

// counter is an applier that counts what instances and leases take.
type counter struct {
	instances int
	bytes     int
}

// Restore implements store.Applier.
func (c *counter) Restore(_ uint64, entries iter.Seq[*store.Entry]) error {
	for e := range entries {
		switch record.KindOf(e.Key) {
		case record.KindInstance:
			c.instances++
		case record.KindLease:
		default:
			continue
		}
		c.bytes += len(e.Key) + len(e.Value)
	}
	return nil
}

// Apply implements store.Applier: nothing happens any more.
func (*counter) Apply([]store.Commit) {}
