package evaluate

import (
	"fmt"
	"slices"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

type usableInput struct {
	Slots []struct {
		Weight   uint64 `json:"weight,string"`
		Reach    reach  `json:"reach"`
		FailedMs int64  `json:"failed_ms"`
	} `json:"slots"`
}

type usableOutput struct {
	Mode   string `json:"mode"`
	Slots  []int  `json:"slots"`
	Prefix words  `json:"prefix"`
	// Failed is -1 in other modes than UNREACHABLE.
	Failed int `json:"failed"`
}

// reach is a rules.Reach by name.
type reach rules.Reach

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *reach) UnmarshalText(text []byte) error {
	at := slices.Index([]string{"READY", "COMING", "AWAY"}, string(text))
	if at < 0 {
		return fmt.Errorf("reach %q", text)
	}
	*r = reach(at) //nolint:gosec // at most 2
	return nil
}

var usable = rule(func(in usableInput) usableOutput {
	slots := make([]rules.SlotState, len(in.Slots))
	for i, s := range in.Slots {
		slots[i] = rules.SlotState{Weight: s.Weight, Reach: rules.Reach(s.Reach), FailedMs: s.FailedMs}
	}
	u := rules.UsableOf(slots)
	out := usableOutput{Slots: []int{}, Failed: -1}
	switch u.Mode {
	case rules.ModeServe:
		out.Mode, out.Slots, out.Prefix = "SERVE", u.Table.Slots, u.Table.Prefix
	case rules.ModeWait:
		out.Mode = "WAIT"
	case rules.ModeEmpty:
		out.Mode = "EMPTY"
	case rules.ModeUnreachable:
		out.Mode, out.Failed = "UNREACHABLE", u.Failed
	}
	return out
})
