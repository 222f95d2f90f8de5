package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type classNames struct{}

func (classNames) names() []string {
	return []string{"NO", "YES", "ELSEWHERE", "CHANGED", "FINAL"}
}

type className = enum[rules.Class, classNames]

// errorsInput is a status; of the table, its reason alone.
type errorsInput struct {
	Table  bool   `json:"table"`
	Code   code   `json:"code"`
	Domain string `json:"domain"`
	Reason string `json:"reason"`
}

type errorsOutput struct {
	Reason     string    `json:"reason"`
	Code       code      `json:"code"`
	Class      className `json:"class"`
	Retryable  bool      `json:"retryable"`
	NextServer bool      `json:"next_server"`
}

var errors = rule(func(in errorsInput) errorsOutput {
	row := rules.MapError(in.Code.value, in.Domain, in.Reason)
	if in.Table {
		row, _ = rules.RowOf(in.Reason)
	}
	return errorsOutput{row.Reason, code{row.Code}, className{row.Class}, row.Retryable(), row.NextServer}
})
