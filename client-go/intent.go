package muster

// Intent is what a view, or one service of it, is meant to be. It tells the
// reasons for being empty apart, so that an empty view is never an accident.
type Intent int

// What views are meant to be, the most telling first: a view of several
// services has the first that any of them has.
const (
	// Present: there are instances.
	Present Intent = iota + 1
	// Recovering: the registry lost history and instances are coming back.
	Recovering
	// Held: instances are overdue and their expiry is held back.
	Held
	// FilteredToNone: there are instances, and none passes the filter.
	FilteredToNone
	// AllExpired: the last instance missed its TTL.
	AllExpired
	// AllDeregistered: the last instance was ended by choice.
	AllDeregistered
	// Forbidden: these credentials may not see the service.
	Forbidden
	// NeverSeen: the service was never registered.
	NeverSeen
	// NotYet: no view was received yet.
	NotYet
)

var intentNames = map[Intent]string{
	Present: "PRESENT", Recovering: "RECOVERING", Held: "HELD", FilteredToNone: "FILTERED_TO_NONE",
	AllExpired: "ALL_EXPIRED", AllDeregistered: "ALL_DEREGISTERED", Forbidden: "FORBIDDEN",
	NeverSeen: "NEVER_SEEN", NotYet: "NOT_YET",
}

// String is the name, such as "ALL_EXPIRED".
func (i Intent) String() string { return intentNames[i] }

// serviceFacts are what the intent of one service follows from.
type serviceFacts struct {
	forbidden  bool
	present    bool
	recovering bool
	// state is nil if the registry never saw the service.
	state *ServiceState
	// filtered tells whether the selector may leave instances out.
	filtered bool
	// lastRemoval is the reason of the last removal that the view saw; 0 if it
	// saw none.
	lastRemoval RemovalReason
}

// intentOf decides by the first rule that fits.
func intentOf(f serviceFacts) Intent {
	switch {
	case f.forbidden:
		return Forbidden
	case f.present:
		return Present
	case f.recovering:
		return Recovering
	case f.state == nil:
		return NeverSeen
	case f.state.Held:
		return Held
	case f.state.Emptied != nil:
		return intentOfRemoval(f.state.Emptied.Reason)
	case f.filtered: // others may be there that do not pass
		return FilteredToNone
	default:
		return intentOfRemoval(f.lastRemoval)
	}
}

// intentOfRemoval: what was not ended by choice, or nobody saw end, counts as expired.
func intentOfRemoval(r RemovalReason) Intent {
	if r == RemovalDeregistered {
		return AllDeregistered
	}
	return AllExpired
}

// overallIntent is the most telling of several; of none it is NeverSeen.
func overallIntent(intents []Intent) Intent {
	overall := NeverSeen
	for _, i := range intents {
		overall = min(overall, i)
	}
	return overall
}
