// Package mustergrpc connects the Muster client with grpc-go: [NewClient] makes
// a channel that follows a service, and [Serve] runs a server from listening to
// drained.
//
//	client, err := muster.New([]string{"127.0.0.1:7070"})
//	conn, err := mustergrpc.NewClient(client, "muster:///shop/pay")
//
// The channel connects to the instances that the service's policy, the client's
// place and their health leave it, spreads calls over those that are ready by
// weight and load, and acknowledges drains only once no new call can reach the
// drained instance. [WithHashKey] and [WithInstance] choose for one call,
// [ExplainPick] tells why an instance is not picked. Calls that find no
// instance fail at once with UNAVAILABLE, a text that says why, and the reason
// as google.rpc.ErrorInfo, which [ReasonOf] reads. Calls that wait for readiness (grpc.WaitForReady)
// wait instead.
//
// Importing the package registers its balancer, "muster_v1", which does nothing
// by itself. The resolver is never registered globally: a plain grpc.NewClient
// with a muster target does not work, and would fail with "produced zero
// addresses".
package mustergrpc
