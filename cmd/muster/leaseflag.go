package main

import (
	"github.com/spf13/cobra"
)

// envLease names a lease where a command line would show it to everybody.
const envLease = "MUSTER_LEASE"

// leaseFlag adds --lease. The returned function gives its value.
func (a *app) leaseFlag(cmd *cobra.Command) func() (string, error) {
	id := cmd.Flags().String("lease", "", "`lease` that holds the instance, as \"register --detach\" printed it (environment: "+envLease+")")
	return func() (string, error) {
		if *id != "" {
			return *id, nil
		}
		if fromEnv := a.env(envLease); fromEnv != "" {
			return fromEnv, nil
		}
		return "", usage("the lease is missing; give --lease or %s: only the holder of an instance may change it", envLease)
	}
}
