package drive

import "context"

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

// Churner changes what Grow registered. Each operation is durable.
type Churner interface {
	// Join registers instance `id`, which is not among those of Grow, in the
	// service that holds the key, and returns its lease.
	Join(ctx context.Context, conn int, key, id uint64) (lease string, err error)
	// Leave ends a lease of Join, and its instance.
	Leave(ctx context.Context, conn int, lease string) error
	// Update changes the weight of the instance that Grow registered with the key.
	Update(ctx context.Context, conn int, key uint64, weight uint32) error
	// Fetch looks up the service that holds the key, and does not decode it.
	Fetch(ctx context.Context, conn int, key uint64) error
	// Follow watches the service that holds the key, and returns when it has the
	// state to begin with. From then on it calls changed for each frame, from one
	// goroutine, until the context ends.
	Follow(ctx context.Context, conn int, key uint64, changed func()) error
}
