package mustergrpc

import (
	"context"
	"sync"

	"github.com/muster-registry/muster/client-go"
)

// events are an observer that keeps what channels tell.
type events struct {
	mu  sync.Mutex
	all []muster.Event
}

func (e *events) Observe(event muster.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

func (e *events) Headers(context.Context) []muster.Header { return nil }

// eventsOf are the events of a type so far.
func eventsOf[E muster.Event](e *events) []E {
	e.mu.Lock()
	defer e.mu.Unlock()
	var some []E
	for _, event := range e.all {
		if one, ok := event.(E); ok {
			some = append(some, one)
		}
	}
	return some
}
