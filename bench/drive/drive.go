// Package drive holds what sections of the benchmark ask of the servers under
// test, one small interface for each kind of work. Drivers implement those that
// their server can do; a section leaves out the others.
package drive

import (
	"context"
	"time"

	"github.com/muster-registry/muster/bench/load"
	"github.com/muster-registry/muster/bench/proc"
)

// Config is how a server is started.
type Config struct {
	// Dir is an empty directory on a real disk, for the server's data; or one
	// that holds the data of a server that was killed.
	Dir string
	// Conns is how many connections the clients have.
	Conns int
	// TTL is that of every lease; 0 is an hour.
	TTL time.Duration
	// Flags are further settings of Muster's server, without dashes:
	// "limits.instances-per-lease": "100". Other drivers ignore them.
	Flags map[string]string
	// Args are further arguments of the limit's server. Other drivers ignore them.
	Args []string
	// Unready skips waiting for the first successful call.
	Unready bool
}

// Target is a kind of server.
type Target interface {
	// Name is "limit", "muster" or "etcd": a part of the keys of figures.
	Name() string
	// Start starts a server as a child process and returns when it answered a call.
	Start(ctx context.Context, c Config) (Server, error)
}

// Server is a running server. It must be closed.
type Server interface {
	// Process is the child, whose CPU time and memory are read from outside.
	Process() *proc.Process
	// Ready is the time from exec to the first successful call.
	Ready() time.Duration
	// Close closes the connections and ends the child. It leaves the data.
	Close() error
}

// Op does one operation on a connection. Keys are never used twice in a run
// unless the operation says so. It is called concurrently.
type Op func(ctx context.Context, conn int, key uint64) error

// Registrar registers instances.
type Registrar interface {
	// Register makes the operation that registers instance `key` under a lease
	// of its own, durably.
	Register() Op
}

// BatchRegistrar registers many instances at once.
type BatchRegistrar interface {
	// RegisterBatch makes the operation that registers the n instances from
	// key*n on in one call under one lease, durably.
	RegisterBatch(n int) Op
}

// Renewer renews leases.
type Renewer interface {
	// Hold registers n instances, each with its own lease, to be renewed.
	Hold(ctx context.Context, n int) error
	// Renew opens a stream that renews the leases of Hold in turn, `each` of
	// them in one request. Streams numbered from 0 to streams-1 share them.
	Renew(ctx context.Context, stream, streams, each int) (load.Stream, error)
}

// LookupSpec is a lookup of a service.
type LookupSpec struct {
	// Instances is how many the service has.
	Instances int
	// Unchanged asks for the answer "unchanged since the known revision".
	Unchanged bool
	// RequestBytes and ResponseBytes are the sizes of Muster's messages for the
	// same lookup; a driver without logic sends and answers as much.
	RequestBytes, ResponseBytes int
}

// Lookup is a lookup that is ready to be done.
type Lookup struct {
	// Do does it. The key is ignored.
	Do Op
	// RequestBytes and ResponseBytes are the sizes of the messages.
	RequestBytes, ResponseBytes int
}

// Looker looks up services.
type Looker interface {
	// Fill registers n instances in one service, for lookups of n instances.
	Fill(ctx context.Context, n int) error
	// Lookup prepares a lookup.
	Lookup(ctx context.Context, spec LookupSpec) (*Lookup, error)
}
