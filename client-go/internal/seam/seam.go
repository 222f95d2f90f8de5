// Package seam lends packages mustertest and mustergrpc what package muster
// keeps to itself, so that a test registry completes, checks and reads instances
// by the same code as the client. Package muster fills it in when it is loaded, before
// anything can use it; nothing changes it afterwards.
package seam

import musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"

var (
	// Encode completes and checks a muster.InstanceSpec, and gives its form on
	// the wire. The error is a *muster.Error.
	Encode func(spec any) (*musterv1.Instance, error)
	// Normalise checks an instance that came over the wire, and gives it in the
	// one form that registries store. The error is a *muster.Error.
	Normalise func(*musterv1.Instance) (*musterv1.Instance, error)
	// Decode makes a *muster.Instance.
	Decode func(*musterv1.Instance) any
	// GracePeriodMs is that of the client of a *muster.Registration.
	GracePeriodMs func(registration any) int64
)
