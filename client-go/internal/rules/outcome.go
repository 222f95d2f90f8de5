package rules

// ShortMs is the time that an endpoint must have had a call for its deadline to
// say anything about the endpoint.
const ShortMs = 100

// Outcome is what the end of a call, or of an attempt to connect, says about
// its endpoint.
type Outcome uint8

// The outcomes.
const (
	// OutcomeIgnored: nothing.
	OutcomeIgnored Outcome = iota
	// OutcomeSuccess: the endpoint works.
	OutcomeSuccess
	// OutcomeFailure: the endpoint failed; several in a row mean that it does not work.
	OutcomeFailure
	// OutcomeRefused: nobody takes connections there.
	OutcomeRefused
	// OutcomeConnected: somebody takes connections there.
	OutcomeConnected
)

// Ending is how a call ended.
type Ending struct {
	// Code is the status, as the caller sees it.
	Code Code
	// Sent tells whether the call was handed to a connection of the endpoint.
	Sent bool
	// Answered tells whether the endpoint sent response headers.
	Answered bool
	// HeldMs is for how long the endpoint had the call.
	HeldMs int64
}

// OutcomeOf classifies the end of a call.
//
// Codes that tell of the call, and not of the endpoint, are successes: the
// endpoint answered. A call that its caller gave up says nothing. A deadline
// counts only if the endpoint kept silent, and had time not to.
func OutcomeOf(e Ending) Outcome {
	if !e.Sent {
		return OutcomeIgnored
	}
	switch e.Code {
	case CodeCancelled:
		return OutcomeIgnored
	case CodeDeadlineExceeded:
		if e.Answered || e.HeldMs < ShortMs {
			return OutcomeIgnored
		}
		return OutcomeFailure
	case CodeUnknown, CodeInternal, CodeUnavailable, CodeDataLoss:
		return OutcomeFailure
	default:
		if e.Answered {
			return OutcomeSuccess
		}
		// A library of this process decided, such as on a message that is too
		// large, or a peer that speaks something else.
		return OutcomeIgnored
	}
}
