package muster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/muster-registry/muster/client-go/internal/defaults"
)

// Token proves to the registry who calls. It is sent as
// "authorization: Bearer …" with every call, and only over TLS.
type Token struct {
	// Value is the token itself: printable ASCII without spaces, at most 8 KiB.
	Value string
	// ValidFor is how long it can be used from now on; 0 is until the registry
	// refuses it.
	ValidFor time.Duration
}

// TokenSource gives tokens: see [FixedToken] and [TokenFile], or implement it
// for whatever issues yours. It is asked when there is no token, shortly before
// the present one expires, and once when the registry refused it; by one
// goroutine at a time, with a ctx of 5 s at most. If it fails, calls fail with
// UNAUTHENTICATED; streams and registrations that live are retried with backoff.
type TokenSource interface {
	// Token returns a token that can be used now.
	Token(ctx context.Context) (Token, error)
}

// FixedToken is a source of one token that never changes.
func FixedToken(value string) TokenSource { return fixedToken(value) }

type fixedToken string

// Token implements TokenSource.
func (f fixedToken) Token(context.Context) (Token, error) { return Token{Value: string(f)}, nil }

// TokenFile is a source that reads a file, such as the one that an orchestrator
// projects and rotates. Space around the token is ignored. The file is read
// again when what was read is 10 s old, and when the registry refused it.
func TokenFile(path string) TokenSource { return tokenFile(path) }

type tokenFile string

// Token implements TokenSource.
func (f tokenFile) Token(context.Context) (Token, error) {
	content, err := os.ReadFile(string(f))
	if err != nil {
		return Token{}, fmt.Errorf("file %s: %w", string(f), fileCause(err))
	}
	value := strings.TrimSpace(string(content))
	if value == "" {
		return Token{}, fmt.Errorf("file %s is empty", string(f))
	}
	return Token{Value: value, ValidFor: defaults.TokenFileCheck}, nil
}

// fileCause is an error of the file system without the path, which the text
// around it names.
func fileCause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// check finds what cannot be sent. The value itself is a secret.
func (t Token) check() error {
	switch {
	case t.Value == "":
		return errors.New("the token is empty")
	case len(t.Value) > defaults.LongestToken:
		return fmt.Errorf("the token has %d bytes, at most %d are allowed", len(t.Value), defaults.LongestToken)
	case strings.ContainsFunc(t.Value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("the token has characters other than printable ASCII")
	default:
		return nil
	}
}

// refreshAfter is when a new token is fetched: 30 s before the present one
// expires, or after four fifths of a short life.
func (t Token) refreshAfter() time.Duration { return t.ValidFor - min(30*time.Second, t.ValidFor/5) }
