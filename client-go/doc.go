// Package muster is the Go client of the Muster service registry.
//
// A [Client] holds one connection to one registry server at a time and moves
// to another of its list when that one fails. A process that offers something
// calls [Client.Register] and keeps the [Registration]; the client renews its
// lease until [Registration.Deregister] or [Client.Close]. A process that
// looks for others calls [Client.Subscribe] and reads [Subscription.View],
// which is always there, complete, verified and immutable.
//
// # What a caller can rely on
//
//   - [New] does no I/O. A registry that is not running is no error until an
//     answer is needed, and then the error says which servers were tried.
//   - A View is never nil, never changes and never blocks; a newer one closes
//     [View.Superseded].
//   - An empty View is never an accident: [View.Intent] says why it is empty.
//   - A client that loses its registry keeps its last view and says how old it
//     is ([View.Age], [View.Freshness]).
//   - The context of a call bounds the call, never the life of what it made.
//
// # Goroutines
//
// A Client owns one goroutine per registration, one for the keepalive stream
// and a few for the watch stream, from their first use on. [Client.Close] ends
// and joins all of them, within five seconds. Everything else is safe for
// concurrent use and starts nothing.
//
// Package mustergrpc connects this package with grpc-go: a channel that
// follows a subscription, and a server's life from listening to drained.
package muster
