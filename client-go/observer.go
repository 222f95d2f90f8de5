package muster

import (
	"context"
	"strings"
)

// Observer is told what a client does. It names no telemetry library: package
// musterotel makes one for OpenTelemetry.
//
// Its methods are called synchronously by the goroutine that did something,
// without any lock of the client held. They must be safe for concurrent use,
// must not block, and must not call what waits, such as Registration.Flush.
// The events of one registration, and those of one view, come in order.
type Observer interface {
	// Observe takes one event.
	Observe(event Event)
	// Headers are sent with a call to the registry that ctx began; traceparent
	// joins the changes that the call makes to the caller's trace. ctx is the
	// caller's. Names that gRPC or Muster own, and values that are not printable
	// ASCII, are left out. Nil is none.
	Headers(ctx context.Context) []Header
}

// Header is a name and a value that a call carries.
type Header struct {
	// Name in lower case, such as "traceparent".
	Name string
	// Value in printable ASCII.
	Value string
}

// WithObserver sets Config.Observer.
func WithObserver(observer Observer) Option { return func(c *Config) { c.Observer = observer } }

// headersKey is where a context holds the headers of the call that it began.
type headersKey struct{}

func withHeaders(ctx context.Context, headers []Header) context.Context {
	if len(headers) == 0 {
		return ctx
	}
	return context.WithValue(ctx, headersKey{}, headers)
}

func headersOf(ctx context.Context) []Header {
	headers, _ := ctx.Value(headersKey{}).([]Header)
	return headers
}

// sendable tells whether an observer may send a header.
func (h Header) sendable() bool {
	if h.Name == "" || h.Name == "authorization" || strings.ContainsFunc(h.Name, notInHeaderName) {
		return false
	}
	for _, reserved := range []string{"grpc-", "muster-"} {
		if strings.HasPrefix(h.Name, reserved) {
			return false
		}
	}
	return !strings.HasSuffix(h.Name, "-bin") && !strings.ContainsFunc(h.Value, notPrintable)
}

func notInHeaderName(r rune) bool {
	return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
}
