package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type randomInput struct {
	State uint64 `json:"state,string"`
	Below uint64 `json:"below,string"`
}

type randomOutput struct {
	Word  uint64 `json:"word,string"`
	Next  uint64 `json:"next,string"`
	Below uint64 `json:"below,string"`
}

var random = rule(func(in randomInput) randomOutput {
	word, next := rules.SplitMix64(in.State)
	return randomOutput{word, next, rules.Below(word, in.Below)}
})
