package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type pickInput struct {
	// Weights of the slots of the plan, all ready; those of weight 0 are not in
	// the table.
	Weights words      `json:"weights"`
	R0      uint64     `json:"r0,string"`
	R1      uint64     `json:"r1,string"`
	Ring    rules.Ring `json:"ring"`
	Hash    uint64     `json:"hash,string"`
	Exclude int        `json:"exclude"`
	Loads   words      `json:"loads"`
}

type pickOutput struct {
	Position int `json:"position"`
}

var pick = rule(func(in pickInput) pickOutput {
	slots := make([]rules.SlotState, len(in.Weights))
	for i, weight := range in.Weights {
		slots[i] = rules.SlotState{Weight: weight}
	}
	table := rules.UsableOf(slots).Table
	exclude := in.Exclude
	if exclude < 0 || exclude >= len(table.Slots) {
		exclude = rules.Nobody
	}
	load := func(position int) uint64 {
		if position < len(in.Loads) {
			return in.Loads[position]
		}
		return 0
	}
	position, ok := rules.Pick(&table, in.R0, in.R1, in.Ring, in.Hash, exclude, load)
	if !ok {
		position = rules.Nobody
	}
	return pickOutput{position}
})
