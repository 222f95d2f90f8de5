package mustertest

import (
	"slices"
	"strings"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// selection is a selector that was checked.
type selection struct {
	message *musterv1.Selector
	filter  *rules.MatchFilter
	viewID  uint64
}

// compile checks a selector.
func compile(message *musterv1.Selector) (*selection, error) {
	form, err := canonical(message)
	if err != nil {
		return nil, err
	}
	if err := atMost("services_per_selector", maxServicesPerSelector, len(message.GetServices().GetNames())); err != nil {
		return nil, err
	}
	return &selection{message: message, filter: filterOf(message.GetFilter()), viewID: viewID(form, "")}, nil
}

// names tells whether the selector is about a service.
func (s *selection) names(name serviceName) bool {
	if p := s.message.GetPrefix(); p != nil {
		return (p.GetNamespace() == "" || p.GetNamespace() == name.namespace) && strings.HasPrefix(name.service, p.GetPrefix())
	}
	return slices.ContainsFunc(s.message.GetServices().GetNames(), func(n *musterv1.ServiceName) bool {
		return n.GetNamespace() == name.namespace && n.GetService() == name.service
	})
}

// holds tells whether an entry is part of the view.
func (s *selection) holds(e entry) bool {
	switch {
	case e.service != nil:
		return s.names(serviceName{e.service.GetNamespace(), e.service.GetService()})
	case e.instance != nil:
		return s.names(nameOf(e.instance).serviceName) && s.filter.Match(candidateOf(e.instance))
	}
	return false
}
