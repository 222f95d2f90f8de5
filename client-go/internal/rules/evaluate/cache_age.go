package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type cacheAgeInput struct {
	NowMs     int64 `json:"now_ms"`
	WrittenMs int64 `json:"written_ms"`
	AgeMs     int64 `json:"age_ms"`
	StaleMs   int64 `json:"stale_ms"`
}

type cacheAgeOutput struct {
	AgeMs int64 `json:"age_ms"`
}

var cacheAge = rule(func(in cacheAgeInput) cacheAgeOutput {
	return cacheAgeOutput{rules.CacheAge(in.NowMs, in.WrittenMs, in.AgeMs, in.StaleMs)}
})
