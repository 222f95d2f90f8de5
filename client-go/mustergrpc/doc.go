// Package mustergrpc connects the Muster client with grpc-go: [NewClient] makes
// a channel that follows a service, and [Serve] runs a server from listening to
// drained.
//
//	client, err := muster.New([]string{"127.0.0.1:7070"})
//	conn, err := mustergrpc.NewClient(client, "muster:///shop/pay")
//
// The channel keeps a connection to every instance that serves, spreads calls
// over those that are ready, and acknowledges drains only once no new call can
// reach the drained instance. Calls that find no instance fail at once with
// UNAVAILABLE, a text that says why, and the reason as google.rpc.ErrorInfo.
// Calls that wait for readiness (grpc.WaitForReady) wait instead.
//
// Importing the package registers its balancer, "muster_v1", which does nothing
// by itself. The resolver is never registered globally: a plain grpc.NewClient
// with a muster target does not work, and would fail with "produced zero
// addresses".
package mustergrpc
