package trace

import (
	"fmt"
	"maps"
)

// State is what the events of one channel add up to.
type State struct {
	// Events that were taken in.
	Events int

	now Event
}

// NewState is the state of a channel without events.
func NewState() *State {
	return &State{now: Event{Fields: Fields{}, Upserted: map[string]Fields{}, Removed: map[string]string{}}}
}

// Now is the sum as an event without kind: the instances that are there, and why
// those that are not there any more left.
func (s *State) Now() Event {
	e := s.now
	e.Fields, e.Upserted, e.Removed = maps.Clone(e.Fields), maps.Clone(e.Upserted), maps.Clone(e.Removed)
	return e
}

// Repeats tells whether an event of a registration says nothing new: handles
// are also woken by what no user sees.
func (s *State) Repeats(e Event) bool {
	if e.Kind != "status" || s.Events == 0 {
		return false
	}
	for _, f := range []string{"state", "error.reason", "about.incarnation"} {
		if s.now.Fields[f] != e.Fields[f] {
			return false
		}
	}
	return true
}

// Add takes an event in. The error says that the events contradict each
// other: something left that was not there, or a count is wrong.
func (s *State) Add(e Event) error {
	s.Events++
	for key, fields := range e.Upserted {
		s.now.Upserted[key] = fields
		delete(s.now.Removed, key)
	}
	for key, reason := range e.Removed {
		if _, held := s.now.Upserted[key]; !held {
			return fmt.Errorf("%s was removed, but was never there: %s", key, e)
		}
		delete(s.now.Upserted, key)
		s.now.Removed[key] = reason
	}
	s.now.Fields = maps.Clone(e.Fields)
	for _, passing := range []string{"cause", "from", "to"} {
		delete(s.now.Fields, passing)
	}
	count := e.Fields["count"]
	if count == "" {
		count = "0"
	}
	if told := fmt.Sprint(len(s.now.Upserted)); (e.Kind == "snapshot" || e.Kind == "delta") && count != told {
		return fmt.Errorf("the view holds %s instances, what was told adds up to %s: %s", count, told, e)
	}
	return nil
}
