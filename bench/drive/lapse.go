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

// Grower holds ever more instances.
type Grower interface {
	// Grow registers instances, each with its own lease, until n are held: those
	// with the keys 0 to n-1.
	Grow(ctx context.Context, n int) error
	// Leases are what renews them; Adopt hands them to the server that was
	// started on the same data.
	Leases() []string
	Adopt(leases []string)
}

// Reader reads what was registered.
type Reader interface {
	// Await returns as soon as the server takes connections. It makes no call,
	// so that no client's backoff counts.
	Await(ctx context.Context) error
	// Complete looks up the service that holds the key, whole, and fails unless
	// it has so many instances.
	Complete(ctx context.Context, conn int, key uint64, instances int) error
}
