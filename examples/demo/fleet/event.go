package fleet

import (
	"encoding/json"
	"time"
)

// Names of events; see the example programs for when they are written.
const (
	// EventCalls sums up the calls since the one before.
	EventCalls = "calls"
	// EventFailed is one call that failed.
	EventFailed = "failed"
	// EventView is a new view of a caller.
	EventView = "view"
	// EventInstance is one instance that appeared, changed, began to drain or
	// disappeared in a caller's view.
	EventInstance = "instance"
	// EventFreshness is a caller's view that aged, or is fresh again.
	EventFreshness = "freshness"
	// EventListening is a greeter that listens.
	EventListening = "listening"
	// EventRegistration is a new state of a greeter's registration.
	EventRegistration = "registration"
)

// Changes of instances, in Event.Change.
const (
	// Appeared is new in the view.
	Appeared = "appeared"
	// Changed is another version, health, lifecycle or incarnation than before.
	Changed = "changed"
	// BeganToDrain is a lifecycle that became DRAINING.
	BeganToDrain = "draining"
	// Disappeared is gone from the view; Event.Reason says why.
	Disappeared = "disappeared"
)

// Event is one line of an example program's output. Which fields are set
// depends on Event.
type Event struct {
	// TimeUS is when, in microseconds since 1970 by the machine's clock.
	TimeUS int64 `json:"time_us"`
	// Event is its name.
	Event string `json:"event"`

	// OK and Failed count calls since the last such event.
	OK     uint64 `json:"ok"`
	Failed uint64 `json:"failed"`
	// ByInstance counts the calls that succeeded, by who answered.
	ByInstance map[string]uint64 `json:"by_instance"`
	// AgeMS is how old the view is, in milliseconds.
	AgeMS int64 `json:"age_ms"`
	// Source is REGISTRY while the view is kept up to date, and MEMORY while no
	// server does.
	Source string `json:"source"`

	// Code, Reason and Message tell why a call failed; Reason also why an
	// instance disappeared.
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`

	// Update is SNAPSHOT or DELTA, Cause why a snapshot was sent.
	Update string `json:"update"`
	Cause  string `json:"cause"`
	// Epoch and Revision are the view's.
	Epoch    uint64 `json:"epoch"`
	Revision uint64 `json:"revision"`
	// Instances is how many there are in the view.
	Instances int `json:"instances"`
	// From and To are a freshness before and after.
	From string `json:"from"`
	To   string `json:"to"`

	// Change is what happened to an instance.
	Change string `json:"change"`
	// ID of the instance.
	ID string `json:"id"`
	// Version, Lifecycle, Health and Incarnation are the instance's.
	Version     string `json:"version"`
	Lifecycle   string `json:"lifecycle"`
	Health      string `json:"health"`
	Incarnation uint64 `json:"incarnation"`

	// Address is where a greeter listens.
	Address string `json:"address"`
	// State is that of a registration.
	State string `json:"state"`
}

// Time is when the event was written.
func (e Event) Time() time.Time { return time.UnixMicro(e.TimeUS) }

// UpdatedTo is up to when the registry's word on the view reaches: the event's
// time less the view's age.
func (e Event) UpdatedTo() time.Time {
	return e.Time().Add(-time.Duration(e.AgeMS) * time.Millisecond)
}

func (e Event) String() string {
	text, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
