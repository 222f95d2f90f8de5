package rules

import (
	"errors"
	"fmt"
	"strings"
)

const (
	targetScheme = "muster:"
	targetPrefix = "muster:///"
)

// Target is what a channel connects to.
type Target struct {
	// Namespace and Service name the service.
	Namespace, Service string
	// Endpoint is the name of the endpoint that is called; empty is the first
	// that fits the transport.
	Endpoint string
}

// ParseTarget reads "muster:///namespace/service", optionally followed by
// "?endpoint=NAME". Every byte stands for itself: there are no escapes, and '+'
// is no space. What else a target holds is refused, so that it may mean
// something one day. The error says where and why.
func ParseTarget(text string) (Target, error) {
	rest, ok := strings.CutPrefix(text, targetPrefix)
	if !ok {
		if strings.HasPrefix(text, targetScheme) {
			return Target{}, fmt.Errorf("byte %d: after muster: come three slashes and no server", len(targetScheme))
		}
		return Target{}, errors.New("byte 0: it does not begin with muster:///")
	}
	path, query, hasQuery := strings.Cut(rest, "?")
	namespace, service, ok := strings.Cut(path, "/")
	at := len(targetPrefix)
	if problem := namespaceRule.check(namespace, at); problem != "" {
		return Target{}, errors.New(problem)
	}
	at += len(namespace)
	if !ok {
		return Target{}, fmt.Errorf("byte %d: the service is missing", at)
	}
	if problem := serviceRule.check(service, at+1); problem != "" {
		return Target{}, errors.New(problem)
	}
	target := Target{Namespace: namespace, Service: service}
	if !hasQuery {
		return target, nil
	}
	at += len("/") + len(service) + len("?")
	endpoint, ok := strings.CutPrefix(query, "endpoint=")
	if !ok {
		return Target{}, fmt.Errorf("byte %d: only endpoint=NAME may follow the question mark", at)
	}
	target.Endpoint = endpoint
	if problem := endpointRule.check(endpoint, at+len("endpoint=")); problem != "" {
		return Target{}, errors.New(problem)
	}
	return target, nil
}
