package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// known is a KnownView, or a server's view.
type known struct {
	Epoch      uint64 `json:"epoch,string"`
	Revision   uint64 `json:"revision,string"`
	ViewID     uint64 `json:"view_id,string"`
	Digest     uint64 `json:"digest,string"`
	Count      uint64 `json:"count,string"`
	LogsFrom   uint64 `json:"logs_from,string"`
	LastChange uint64 `json:"last_change,string"`
	Probe      string `json:"probe"`
}

func TestResumeByTheRules(t *testing.T) {
	file := read[struct {
		Cases []struct {
			Name     string
			Server   known
			Resume   *known
			Rule     int
			Decision map[string]string
		}
	}](t, "resume.json")
	for _, c := range file.Cases {
		rule, decision := resumeRule(c.Server, c.Resume)
		if diff := cmp.Diff(c.Decision, decision); diff != "" || rule != c.Rule {
			t.Errorf("%s: rule %d, want %d\n%s", c.Name, rule, c.Rule, diff)
		}
	}
}

func resumeRule(s known, r *known) (int, map[string]string) {
	snapshot := func(cause string) map[string]string { return map[string]string{"frame": "SNAPSHOT", "cause": cause} }
	switch {
	case r == nil:
		return 0, snapshot("FIRST")
	case r.Epoch > s.Epoch:
		return 1, map[string]string{"error": "EPOCH_BEHIND"}
	case r.Epoch < s.Epoch:
		return 1, snapshot("NEW_EPOCH")
	case r.ViewID != s.ViewID:
		return 2, snapshot("SELECTOR_CHANGED")
	case r.Revision > s.Revision && s.Probe == "NONE":
		return 3, map[string]string{"error": "VIEW_BEHIND"}
	case r.Revision > s.Revision:
		return 3, snapshot("HISTORY_LOST")
	case s.LogsFrom <= r.Revision && s.LastChange > r.Revision:
		return 4, map[string]string{"frame": "DELTA", "from_revision": decimal(r.Revision)}
	case s.LogsFrom <= r.Revision:
		return 4, map[string]string{"frame": "PROGRESS"}
	case r.Digest == s.Digest && r.Count == s.Count:
		return 5, map[string]string{"frame": "PROGRESS"}
	}
	return 6, snapshot("HISTORY_COMPACTED")
}

// leaseVector is a lease as the vectors write it.
type leaseVector struct {
	LeaseID     string `json:"lease_id"`
	Epoch       uint64 `json:"epoch,string"`
	Incarnation uint64 `json:"incarnation,string"`
	RequestID   string `json:"request_id"`
}

type registerVector struct {
	Name    string
	Present *leaseVector
	Request struct {
		RequestID string `json:"request_id"`
		Previous  *leaseVector
		TakeOver  *struct{ Incarnations []string } `json:"take_over"`
	}
	Rule        int
	Decision    string
	Incarnation string
}

func TestRegisterByTheRules(t *testing.T) {
	file := read[struct{ Cases []registerVector }](t, "register.json")
	for _, c := range file.Cases {
		rule, decision := registerRule(c)
		if rule != c.Rule || decision != c.Decision {
			t.Errorf("%s: rule %d %s, want %d %s", c.Name, rule, decision, c.Rule, c.Decision)
		}
		refused := decision == "INSTANCE_EXISTS" || decision == "FENCED"
		if refused != (c.Incarnation != "") || refused && c.Incarnation != decimal(c.Present.Incarnation) {
			t.Errorf("%s: names incarnation %q", c.Name, c.Incarnation)
		}
	}
}

func registerRule(c registerVector) (int, string) {
	previous, present := c.Request.Previous, c.Present
	switch {
	case present == nil:
		return 1, "CREATE"
	case present.RequestID == c.Request.RequestID:
		return 2, "RETRY"
	case previous != nil && previous.LeaseID == present.LeaseID,
		previous != nil && previous.Epoch > present.Epoch,
		previous != nil && previous.Epoch == present.Epoch && previous.Incarnation > present.Incarnation:
		return 3, "REPLACE"
	case c.Request.TakeOver != nil && slices.Contains(c.Request.TakeOver.Incarnations, decimal(present.Incarnation)):
		return 4, "TAKE_OVER"
	case previous == nil:
		return 5, "INSTANCE_EXISTS"
	}
	return 6, "FENCED"
}

type intentVector struct {
	Name                            string
	Received, Forbidden, Recovering bool
	Instances                       int
	State                           *struct {
		Holds   []any
		Emptied *struct{ Reason string }
	}
	Filtered    bool
	LastRemoval *string `json:"last_removal"`
	Intent      string
}

func TestIntentByTheRules(t *testing.T) {
	file := read[struct {
		Cases   []intentVector
		Overall []struct {
			Intents []string
			Overall string
		}
	}](t, "intent.json")
	for _, c := range file.Cases {
		if got := intentRule(c); got != c.Intent {
			t.Errorf("%s: %s, want %s", c.Name, got, c.Intent)
		}
	}
	order := []string{"PRESENT", "RECOVERING", "HELD", "FILTERED_TO_NONE", "ALL_EXPIRED", "ALL_DEREGISTERED", "FORBIDDEN", "NEVER_SEEN"}
	for _, c := range file.Overall {
		best := "NEVER_SEEN"
		for _, i := range c.Intents {
			if slices.Index(order, i) < slices.Index(order, best) {
				best = i
			}
		}
		if best != c.Overall {
			t.Errorf("%v: %s, want %s", c.Intents, best, c.Overall)
		}
	}
}

func intentRule(c intentVector) string {
	byReason := map[string]string{"DEREGISTERED": "ALL_DEREGISTERED", "EXPIRED": "ALL_EXPIRED", "ORIGIN_LOST": "ALL_EXPIRED", "UNKNOWN": "ALL_EXPIRED"}
	switch {
	case !c.Received:
		return "NOT_YET"
	case c.Forbidden:
		return "FORBIDDEN"
	case c.Instances > 0:
		return "PRESENT"
	case c.Recovering:
		return "RECOVERING"
	case c.State == nil:
		return "NEVER_SEEN"
	case len(c.State.Holds) > 0:
		return "HELD"
	case c.State.Emptied != nil:
		return byReason[c.State.Emptied.Reason[len("REMOVAL_REASON_"):]]
	case c.Filtered:
		return "FILTERED_TO_NONE"
	case c.LastRemoval != nil && byReason[*c.LastRemoval] != "":
		return byReason[*c.LastRemoval]
	default:
		return "ALL_EXPIRED"
	}
}
