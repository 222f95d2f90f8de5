package muster

import "time"

// The events of channels and other balancers that pick instances of a view.

// RPCFinished tells of one RPC of a channel.
type RPCFinished struct {
	// Service that was called, such as "shop/pay".
	Service string
	// Endpoint that was picked, host:port.
	Endpoint string
	// Result is "OK" or the name of the status code, such as "UNAVAILABLE".
	Result string
	// Duration is from the pick to the end of the RPC.
	Duration time.Duration
}

// PickFailed tells that an RPC failed because no instance could be picked.
type PickFailed struct {
	// Service that was called.
	Service string
	// Result is the reason, such as "NO_INSTANCES".
	Result string
}

// EndpointEjected tells that an endpoint that failed calls is not picked for a
// while.
type EndpointEjected struct {
	// Service it belongs to.
	Service string
	// Endpoint is its host:port.
	Endpoint string
	// Duration is how long it stays out.
	Duration time.Duration
}

// PanicChanged tells that a channel began, or ceased, to pick unhealthy
// instances because too few others are left.
type PanicChanged struct {
	// Service that is called.
	Service string
	// Panic tells whether it does now.
	Panic bool
}

func (ServerConnected) event()      {}
func (ServerFailed) event()         {}
func (CallFinished) event()         {}
func (StreamOpened) event()         {}
func (StreamEnded) event()          {}
func (FrameApplied) event()         {}
func (FrameRejected) event()        {}
func (EpochRegressed) event()       {}
func (ViewFreshnessChanged) event() {}
func (RegistrationChanged) event()  {}
func (KeepaliveAnswered) event()    {}
func (DrainFinished) event()        {}
func (RPCFinished) event()          {}
func (PickFailed) event()           {}
func (EndpointEjected) event()      {}
func (PanicChanged) event()         {}
