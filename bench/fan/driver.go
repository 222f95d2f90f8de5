package fan

import "context"

// Frame is one message to a watcher, as far as the benchmark looks into it.
// It and its slice are used again for the watcher's next message.
type Frame struct {
	// From and To are revisions: the watcher had been told of everything up to
	// From, and is now told of everything up to To.
	From, To uint64
	// Stamps tell of each change that the frame carries when its write began.
	Stamps []uint32
	// Bytes is the length of the message.
	Bytes int
	// UptimeMs is the server's uptime when it made the frame, and Oldest is when
	// the oldest of its changes was written, in ns since 1970 by the server's
	// clock; both are 0 if the server does not say.
	UptimeMs, Oldest int64
	// Complete tells that the update ends with this frame.
	Complete bool
	// Setup tells that this is not a change but what a stream begins with, or a
	// sign of life.
	Setup bool
}

// Driver opens watchers at one server, and changes what they watch. Its
// methods may be called concurrently.
type Driver interface {
	// Fill makes what will be watched and changed: some services with some
	// instances each.
	Fill(ctx context.Context, services, instances int) error
	// Watch opens a stream for one service on one of the connections, and
	// returns when it brought the state to begin with. From then on f is called
	// for each frame that carries changes, by one goroutine per stream, until
	// the driver is closed. While f blocks, nothing is read.
	Watch(ctx context.Context, conn, service int, f func(*Frame)) error
	// Change writes one change to one instance, by one unary call.
	Change(ctx context.Context, conn, service, instance int) error
	// Err is why a stream ended before the driver was closed, or nil.
	Err() error
	// Close ends all streams and connections and waits for them.
	Close() error
}
