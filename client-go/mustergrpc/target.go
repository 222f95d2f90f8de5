package mustergrpc

import (
	"strings"

	"github.com/muster-registry/muster/client-go"
)

const targetPrefix = "muster:///"

// parseTarget reads "muster:///namespace/service". It is its own parser: URL
// libraries differ in what they take and in what they make of it. Whatever else
// a target holds is refused by name, so that it may mean something one day.
func parseTarget(target string) (muster.ServiceName, *muster.Error) {
	path, ok := strings.CutPrefix(target, targetPrefix)
	if !ok {
		if strings.HasPrefix(target, "muster:") {
			return muster.ServiceName{}, targetError(target, "it must name no server after muster://")
		}
		return muster.ServiceName{}, targetError(target, "it does not begin with "+targetPrefix)
	}
	for _, part := range []struct{ mark, name string }{{"?", "a query"}, {"#", "a fragment"}, {"%", "an escape"}} {
		if strings.Contains(path, part.mark) {
			return muster.ServiceName{}, targetError(target, part.name+" is not understood")
		}
	}
	namespace, service, ok := strings.Cut(path, "/")
	if !ok || namespace == "" || service == "" || strings.Contains(service, "/") {
		return muster.ServiceName{}, targetError(target, "it needs a namespace and a service, and nothing else")
	}
	return muster.ServiceName{Namespace: namespace, Service: service}, nil
}
