package mustergrpc

import (
	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// parseTarget reads "muster:///namespace/service", optionally followed by
// "?endpoint=NAME".
func parseTarget(target string) (rules.Target, *muster.Error) {
	parsed, err := rules.ParseTarget(target)
	if err != nil {
		return rules.Target{}, targetError(target, err.Error())
	}
	return parsed, nil
}
