package drive

import (
	"context"
	"time"
)

// Lapser lets leases lapse, and sees what they held go.
type Lapser interface {
	// Lapse registers instance `key` under a lease of its own that nobody will
	// renew. Servers that count in seconds round the TTL up; it returns the TTL
	// that the lease really got.
	Lapse(ctx context.Context, conn int, key uint64, ttl time.Duration) (time.Duration, error)
	// Removals watches the services that hold the n instances from key `from`
	// on, and returns when the watch stands. It calls seen for each instance
	// that is removed, with the moment at which the watcher received it, from
	// one goroutine, until n were removed, which closes done.
	Removals(ctx context.Context, from uint64, n int, seen func(key uint64, at time.Time)) (done <-chan struct{}, err error)
}
