package muster

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// telemetry is where everything that happens is counted and told of. Every
// count of Stats is made here, from events.
type telemetry struct {
	counters counters
	// observer may be nil.
	observer Observer
	// viewsChanged has room for one: some view may be of another freshness.
	viewsChanged chan struct{}
}

func newTelemetry(observer Observer) *telemetry {
	return &telemetry{observer: observer, viewsChanged: make(chan struct{}, 1)}
}

// Observe counts an event and tells it to Config.Observer. It is for packages
// that extend this one, such as mustergrpc.
func (c *Client) Observe(event Event) { c.config.telemetry.observe(event) }

// observe must not be called with a lock held that a method of Client takes.
func (t *telemetry) observe(event Event) {
	t.counters.count(event)
	if t.observer != nil {
		t.observer.Observe(event)
	}
}

// headers are those that the observer wants to be sent with a call.
func (t *telemetry) headers(ctx context.Context) []Header {
	if t.observer == nil {
		return nil
	}
	headers := slices.Clone(t.observer.Headers(ctx))
	return slices.DeleteFunc(headers, func(h Header) bool { return !h.sendable() })
}

// viewPublished makes the freshness of the views be looked at.
func (t *telemetry) viewPublished() {
	select {
	case t.viewsChanged <- struct{}{}:
	default:
	}
}

// watchFreshness tells the observer when views become less, or again more,
// trustworthy, until ctx ends.
func (w *watcher) watchFreshness(ctx context.Context) {
	t := w.client.config.telemetry
	told := make(map[*core]Freshness)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := time.Hour
		cores := w.wanted()
		for _, k := range cores {
			next = min(next, t.tellFreshness(k, told))
		}
		for k := range told {
			if !slices.Contains(cores, k) {
				delete(told, k)
			}
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-t.viewsChanged:
		case <-ctx.Done():
			return
		}
	}
}

// tellFreshness tells of one view, and when to look again.
func (t *telemetry) tellFreshness(k *core, told map[*core]Freshness) time.Duration {
	view := k.view.Load()
	from, ok := told[k]
	if !ok {
		from = Expired
	}
	now := view.Freshness()
	told[k] = now
	if now != from {
		t.observe(ViewFreshnessChanged{k.selector.String(), from, now})
	}
	if left := view.freshnessEnds(); left >= 0 {
		return left
	}
	return time.Hour
}

// resultOf is how events tell of an error: its reason, else its code.
func resultOf(err *Error) string {
	switch {
	case err == nil:
		return "OK"
	case err.Reason != "":
		return string(err.Reason)
	default:
		return codeName(err.Code)
	}
}

// codeName is the name of a code as the contract of gRPC writes it.
func codeName(code codes.Code) string {
	if code == codes.Canceled {
		return "CANCELLED"
	}
	var b strings.Builder
	for i, r := range code.String() {
		if 'A' <= r && r <= 'Z' && i > 0 && code != codes.OK {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}
