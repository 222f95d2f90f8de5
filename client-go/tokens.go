package muster

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/defaults"
)

// tokens is the token in use and where the next one comes from. It is safe for
// concurrent use. A nil one has no token.
type tokens struct {
	source TokenSource
	logger *slog.Logger
	// busy is held while the source is asked; it is a channel so that waiting
	// ends with the waiter's context.
	busy chan struct{}

	// mu guards held.
	mu   sync.Mutex
	held heldToken
}

// heldToken is a token, when to fetch the next one and when it is over; zero
// times are never.
type heldToken struct {
	value           string
	refresh, expiry time.Time
}

func newTokens(source TokenSource, logger *slog.Logger) *tokens {
	if source == nil {
		return nil
	}
	return &tokens{source: source, logger: logger, busy: make(chan struct{}, 1)}
}

// get returns the token to send; "" without a source.
func (t *tokens) get(ctx context.Context) (string, *Error) {
	if t == nil {
		return "", nil
	}
	if value, fresh := t.present(); fresh {
		return value, nil
	}
	select {
	case t.busy <- struct{}{}:
		defer func() { <-t.busy }()
	case <-ctx.Done():
		return "", contextError(ctx, "token", "", nil)
	}
	value, fresh := t.present()
	if fresh {
		return value, nil
	}
	err := t.fetch(ctx)
	switch {
	case err == nil:
		value, _ = t.present()
		return value, nil
	case value != "": // about to expire, and good until then
		t.logger.Warn(err.text())
		return value, nil
	default:
		return "", err
	}
}

// present is the token that can be used now, if there is one, and whether it is
// still early to fetch another.
func (t *tokens) present() (value string, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.held.value == "" || !t.held.expiry.IsZero() && !now.Before(t.held.expiry) {
		return "", false
	}
	return t.held.value, t.held.refresh.IsZero() || now.Before(t.held.refresh)
}

// fetch asks the source. The caller holds busy.
func (t *tokens) fetch(ctx context.Context) *Error {
	ctx, cancel := context.WithTimeout(ctx, defaults.CallTimeout)
	defer cancel()
	asked := time.Now()
	token, err := t.source.Token(ctx)
	if err == nil {
		err = token.check()
	}
	if err != nil {
		e := newError(ReasonUnauthenticated, codes.Unauthenticated, "token", "", textNoToken(err.Error()))
		e.cause = err
		return e
	}
	held := heldToken{value: token.Value}
	if token.ValidFor > 0 {
		held.refresh, held.expiry = asked.Add(token.refreshAfter()), asked.Add(token.ValidFor)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = held
	return nil
}

// reject drops a token that the registry refused, unless it was replaced
// already, and tells whether a call may be repeated with another one.
func (t *tokens) reject(value string) bool {
	if t == nil || value == "" {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held.value == value {
		t.held = heldToken{}
	}
	return true
}
