package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type (
	useNames     struct{}
	verdictNames struct{}
)

func (useNames) names() []string { return []string{"CALL", "RETRY"} }

func (verdictNames) names() []string { return []string{"GIVE_UP", "RETRY", "MOVE"} }

type budgetState struct {
	Milli int64 `json:"milli"`
	AtMs  int64 `json:"at_ms"`
}

type budgetInput struct {
	// Budget is null where a client begins.
	Budget *budgetState          `json:"budget"`
	Use    enum[uint8, useNames] `json:"use"`
	NowMs  int64                 `json:"now_ms"`
}

type budgetOutput struct {
	Budget budgetState `json:"budget"`
	WaitMs int64       `json:"wait_ms"`
}

var budget = rule(func(in budgetInput) (out budgetOutput) {
	b := rules.FullBudget(in.NowMs)
	if in.Budget != nil {
		b = rules.Budget(*in.Budget)
	}
	if in.Use.value == 0 {
		out.Budget = budgetState(b.Call(in.NowMs))
		return out
	}
	b, out.WaitMs = b.Retry(in.NowMs)
	out.Budget = budgetState(b)
	return out
})

type retryInput struct {
	Class        className   `json:"class"`
	NextServer   bool        `json:"next_server"`
	Failures     uint32      `json:"failures"`
	CapMs        int64       `json:"cap_ms"`
	RetryAfterMs int64       `json:"retry_after_ms"`
	LeftMs       int64       `json:"left_ms"`
	Others       bool        `json:"others"`
	Budget       budgetState `json:"budget"`
	NowMs        int64       `json:"now_ms"`
	Word         uint64      `json:"word,string"`
}

type retryOutput struct {
	Verdict enum[rules.Verdict, verdictNames] `json:"verdict"`
	WaitMs  int64                             `json:"wait_ms"`
	Budget  budgetState                       `json:"budget"`
}

var retry = rule(func(in retryInput) (out retryOutput) {
	a := rules.Attempted{
		Error: rules.Row{Class: in.Class.value, NextServer: in.NextServer}, Failures: in.Failures, CapMs: in.CapMs,
		RetryAfterMs: in.RetryAfterMs, LeftMs: in.LeftMs, Others: in.Others,
	}
	verdict, wait, after := rules.Decide(a, rules.Budget(in.Budget), in.NowMs, in.Word)
	out.Verdict.value, out.WaitMs, out.Budget = verdict, wait, budgetState(after)
	return out
})
