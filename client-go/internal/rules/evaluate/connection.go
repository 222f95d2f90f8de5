package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type (
	phaseNames  struct{}
	eventNames  struct{}
	actionNames struct{}
)

func (phaseNames) names() []string {
	return []string{"IDLE", "CONNECTING", "READY", "BACKOFF"}
}

func (eventNames) names() []string {
	return []string{"WANTED", "UNWANTED", "RENEWED", "OPENED", "FAILED", "LOST", "ELAPSED"}
}

func (actionNames) names() []string {
	return []string{"NONE", "DIAL", "WAIT", "ABANDON"}
}

type connectionState struct {
	Phase    enum[rules.Phase, phaseNames] `json:"phase"`
	SinceMs  int64                         `json:"since_ms"`
	Failures uint32                        `json:"failures"`
	Wanted   bool                          `json:"wanted"`
}

type connectionInput struct {
	Connection connectionState               `json:"connection"`
	Event      enum[rules.Event, eventNames] `json:"event"`
	NowMs      int64                         `json:"now_ms"`
	Word       uint64                        `json:"word,string"`
}

type connectionOutput struct {
	Connection connectionState                 `json:"connection"`
	Action     enum[rules.Action, actionNames] `json:"action"`
	WaitMs     int64                           `json:"wait_ms"`
}

var connection = rule(func(in connectionInput) (out connectionOutput) {
	c := rules.Connection{
		Phase: in.Connection.Phase.value, SinceMs: in.Connection.SinceMs,
		Failures: in.Connection.Failures, Wanted: in.Connection.Wanted,
	}
	c, out.Action.value, out.WaitMs = rules.Connect(c, in.Event.value, in.NowMs, in.Word)
	out.Connection = connectionState{SinceMs: c.SinceMs, Failures: c.Failures, Wanted: c.Wanted}
	out.Connection.Phase.value = c.Phase
	return out
})
