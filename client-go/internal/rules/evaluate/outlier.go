package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type (
	outcomeNames  struct{}
	ejectingNames struct{}
)

func (outcomeNames) names() []string {
	return []string{"IGNORED", "SUCCESS", "FAILURE", "REFUSED", "CONNECTED"}
}

func (ejectingNames) names() []string {
	return []string{"UNCHANGED", "EJECTS", "RETURNS"}
}

type outcomeName = enum[rules.Outcome, outcomeNames]

type outcomeInput struct {
	Code     code  `json:"code"`
	Sent     bool  `json:"sent"`
	Answered bool  `json:"answered"`
	HeldMs   int64 `json:"held_ms"`
}

type outcomeOutput struct {
	Outcome outcomeName `json:"outcome"`
}

var outcome = rule(func(in outcomeInput) outcomeOutput {
	e := rules.Ending{Code: in.Code.value, Sent: in.Sent, Answered: in.Answered, HeldMs: in.HeldMs}
	return outcomeOutput{outcomeName{rules.OutcomeOf(e)}}
})

type outlierState struct {
	Failures  uint32 `json:"failures"`
	Ejections uint32 `json:"ejections"`
	Ejected   bool   `json:"ejected"`
	UntilMs   int64  `json:"until_ms"`
	Unreached bool   `json:"unreached"`
	SinceMs   int64  `json:"since_ms"`
}

type outlierInput struct {
	Outlier outlierState `json:"outlier"`
	Outcome outcomeName  `json:"outcome"`
	NowMs   int64        `json:"now_ms"`
	Total   uint32       `json:"total"`
	Others  uint32       `json:"others"`
}

type outlierOutput struct {
	Outlier outlierState                        `json:"outlier"`
	Change  enum[rules.Ejecting, ejectingNames] `json:"change"`
}

var outlier = rule(func(in outlierInput) (out outlierOutput) {
	o, change := rules.Eject(rules.Outlier(in.Outlier), in.Outcome.value, in.NowMs, in.Total, in.Others)
	out.Outlier, out.Change.value = outlierState(o), change
	return out
})
