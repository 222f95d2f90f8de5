package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type backoffInput struct {
	Failures  uint32 `json:"failures"`
	CapMs     int64  `json:"cap_ms"`
	Word      uint64 `json:"word,string"`
	Delivered bool   `json:"delivered"`
	LivedMs   int64  `json:"lived_ms"`
}

type backoffOutput struct {
	DelayMs     int64  `json:"delay_ms"`
	AfterStream uint32 `json:"failures_after_stream"`
}

var backoff = rule(func(in backoffInput) backoffOutput {
	return backoffOutput{
		rules.Delay(in.Failures, in.CapMs, in.Word),
		rules.FailuresAfterStream(in.Failures, in.Delivered, in.LivedMs),
	}
})

type keepaliveInput struct {
	TTLMs int64  `json:"ttl_ms"`
	Word  uint64 `json:"word,string"`
}

type keepaliveOutput struct {
	DueMs          int64 `json:"due_ms"`
	AnswerWithinMs int64 `json:"answer_within_ms"`
	BackoffCapMs   int64 `json:"backoff_cap_ms"`
}

var keepalive = rule(func(in keepaliveInput) keepaliveOutput {
	return keepaliveOutput{rules.KeepaliveDue(in.TTLMs, in.Word), rules.AnswerWithin(in.TTLMs), rules.LeaseCap(in.TTLMs)}
})

type freshnessInput struct {
	FreshForMs int64 `json:"fresh_for_ms"`
	StaleForMs int64 `json:"stale_for_ms"`
	Doubtful   bool  `json:"doubtful"`
	Frames     []struct {
		ReceivedMs     int64  `json:"received_ms"`
		ServerUptimeMs uint64 `json:"server_uptime_ms,string"`
		DataAgeMs      uint64 `json:"data_age_ms,string"`
	} `json:"frames"`
	// ThenMs are moments after the last frame.
	ThenMs []int64 `json:"then_ms"`
}

type freshnessOutput struct {
	AgesMs []int64       `json:"ages_ms"`
	Then   []freshnessAt `json:"then"`
}

type freshnessAt struct {
	AgeMs     int64  `json:"age_ms"`
	Freshness string `json:"freshness"`
	EndsMs    int64  `json:"ends_ms"`
}

var freshness = rule(func(in freshnessInput) freshnessOutput {
	out := freshnessOutput{make([]int64, len(in.Frames)), make([]freshnessAt, len(in.ThenMs))}
	var clock rules.StreamClock
	var timing rules.Timing
	for i, f := range in.Frames {
		timing = clock.Frame(f.ReceivedMs, f.ServerUptimeMs, f.DataAgeMs)
		out.AgesMs[i] = timing.AgeMs(f.ReceivedMs)
	}
	for i, now := range in.ThenMs {
		age := timing.AgeMs(now)
		fresh, ends := rules.FreshnessOf(age, in.FreshForMs, in.StaleForMs, in.Doubtful)
		out.Then[i] = freshnessAt{age, string(fresh), ends}
	}
	return out
})

type graceInput struct {
	PeriodMs int64 `json:"period_ms"`
}

type graceOutput struct {
	WatchersMs   int64 `json:"watchers_ms"`
	AnswersMs    int64 `json:"answers_ms"`
	CallsMs      int64 `json:"calls_ms"`
	DeregisterMs int64 `json:"deregister_ms"`
}

var grace = rule(func(in graceInput) graceOutput { return graceOutput(rules.GraceOf(in.PeriodMs)) })
