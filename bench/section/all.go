package section

import "context"

// Section is one kind of work.
type Section struct {
	// Name is what -section takes.
	Name string
	// What it measures, for people.
	What string
	// Measure measures it.
	Measure func(ctx context.Context, r *Run) error
}

// All are all sections, in the order in which they run. Those that share
// servers are ordered by what they leave in them: a server that has just been
// given half a million instances writes a snapshot of them for some seconds.
func All() []Section {
	return append([]Section{
		{"oneworker", "registrations, one worker", OneWorker},
		{"lookup", "lookups, 64 workers", Lookup},
		{"keepalive", "renewals, one lease a message and 256", KeepAlive},
		{"register", "registrations, each with its own lease, 64 workers", Register},
		{"batch", "registrations of 100 instances a call", Batch},
	}, append(watching(), lasting()...)...)
}
