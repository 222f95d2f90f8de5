package main

import (
	"github.com/spf13/cobra"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// envLease names a lease where a command line would show it to everybody.
const envLease = "MUSTER_LEASE"

// leaseFlag adds --lease. The returned function reads the instance that a
// command is about, and the lease that holds it.
func (a *app) leaseFlag(cmd *cobra.Command) func(text string) (key *musterv1.InstanceKey, id string, err error) {
	flag := cmd.Flags().String("lease", "", "`lease` that holds the instance, as \"register --detach\" printed it (environment: "+envLease+")")
	return func(text string) (*musterv1.InstanceKey, string, error) {
		key, err := parseInstance(text)
		if err != nil {
			return nil, "", err
		}
		id := *flag
		if id == "" {
			id = a.env(envLease)
		}
		if id == "" {
			return nil, "", usage("the lease is missing; give --lease or %s: only the holder of an instance may change it", envLease)
		}
		return key, id, nil
	}
}
