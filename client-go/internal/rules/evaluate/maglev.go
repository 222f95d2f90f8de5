package evaluate

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

type maglevInput struct {
	Slots []struct {
		Key    slotKey `json:"key"`
		Weight uint64  `json:"weight,string"`
	} `json:"slots"`
	// Hashes to look up while every slot is ready.
	Hashes words `json:"hashes"`
}

type maglevOutput struct {
	// Places of each slot.
	Places []int `json:"places"`
	// Ring is the XXH64 of all places, each as 32 bits, little endian.
	Ring uint64 `json:"ring,string"`
	// Found are the slots that the hashes lead to.
	Found []uint32 `json:"found"`
}

var maglev = rule(func(in maglevInput) maglevOutput {
	slots := make([]rules.RingSlot, len(in.Slots))
	for i, s := range in.Slots {
		slots[i] = rules.RingSlot{Key: rules.SlotKey(s.Key), Weight: s.Weight}
	}
	ring := rules.NewRing(slots)
	out := maglevOutput{Places: make([]int, len(slots)), Found: []uint32{}}
	var space []byte
	for _, slot := range ring {
		out.Places[slot]++
		space = binary.LittleEndian.AppendUint32(space, slot)
	}
	if ring == nil {
		return out
	}
	out.Ring = xxhash.Sum64(space)
	for _, hash := range in.Hashes {
		out.Found = append(out.Found, ring[hash%rules.RingSize])
	}
	return out
})
