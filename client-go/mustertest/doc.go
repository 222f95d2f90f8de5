// Package mustertest is a registry in memory for tests. Three lines bring up a
// registry and a client of it:
//
//	registry := mustertest.NewRegistry(t)
//	registry.Register(muster.InstanceSpec{Namespace: "shop", Service: "pay", ID: "a"})
//	client := registry.Client()
//
// It is a real, small registry, not a stub: registrations, leases that expire,
// fencing, watches with resumption and digests, drains that wait for pickers and
// the errors of the contract are those of docs/protocol.md, and the scenarios of
// the conformance corpus run against it as against a server. What it leaves out
// is what its GetServerInfo says.
//
// Tests play what happens in production by [Registry.Expire], [Registry.Cut] and
// [Registry.Heal], [Registry.Restart] and [Registry.LoseHistory]. In a
// [testing/synctest] bubble none of that takes any real time, however long TTLs
// and timeouts are.
package mustertest
