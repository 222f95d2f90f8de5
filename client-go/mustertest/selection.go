package mustertest

import (
	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// selection is a selector that was checked.
type selection struct {
	wanted rules.MatchNames
	filter *rules.MatchFilter
	viewID uint64
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
	return &selection{wanted: namesOf(message), filter: filterOf(message.GetFilter()), viewID: viewID(form, "")}, nil
}

// namesOf are the services that a selector is about.
func namesOf(message *musterv1.Selector) rules.MatchNames {
	wanted := rules.MatchNames{Namespace: message.GetPrefix().GetNamespace(), Prefix: message.GetPrefix().GetPrefix()}
	for _, n := range message.GetServices().GetNames() {
		wanted.Services = append(wanted.Services, n.GetNamespace()+"/"+n.GetService())
	}
	return wanted
}

// names tells whether the selector is about a service.
func (s *selection) names(name serviceName) bool { return s.wanted.Match(name.namespace, name.service) }

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
