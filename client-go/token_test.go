package muster

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// issuer gives tokens t1, t2 and so on, of which the fake accepts one.
type issuer struct {
	mu       sync.Mutex
	validFor time.Duration
	fail     error
	count    int
	accepted string
}

func (i *issuer) Token(context.Context) (Token, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fail != nil {
		return Token{}, i.fail
	}
	i.count++
	return Token{Value: "t" + string(rune('0'+i.count)), ValidFor: i.validFor}, nil
}

func (i *issuer) asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.count
}

func (i *issuer) set(fail error, accepted string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fail, i.accepted = fail, accepted
}

// authorize is the server's side.
func (i *issuer) authorize(authorization string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.accepted == "" || authorization == "Bearer "+i.accepted {
		return nil
	}
	return refusedToken()
}

func refusedToken() error {
	return fakeregistry.Fault(codes.Unauthenticated, musterv1.ErrorReason_ERROR_REASON_UNAUTHENTICATED, "token expired", nil)
}

// withTokens runs a test against a registry that speaks TLS, with a client
// whose tokens an issuer gives.
func withTokens(t *testing.T, i *issuer, run func(t *testing.T, r *fakeregistry.Registry, c *Client)) {
	t.Helper()
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		_, config := withTLS(t, r, a, "a")
		r.OnAuth = i.authorize
		run(t, r, newTLSClient(t, r, config, WithToken(i)))
	})
}

func TestTokenIsSentAndKeptUntilShortlyBeforeItExpires(t *testing.T) {
	i := &issuer{validFor: time.Minute, accepted: "t1"}
	withTokens(t, i, func(t *testing.T, _ *fakeregistry.Registry, c *Client) {
		lookup := func() error {
			_, err := c.Lookup(t.Context(), Service("shop", "pay"))
			return err
		}
		for range 3 {
			if err := lookup(); err != nil || i.asked() != 1 {
				t.Fatalf("%v, the source was asked %d times", err, i.asked())
			}
		}
		time.Sleep(47 * time.Second)
		if err := lookup(); err != nil || i.asked() != 1 {
			t.Errorf("%v, 13 s before it expires the source was asked %d times", err, i.asked())
		}
		time.Sleep(2 * time.Second)
		i.set(errors.New("the issuer is away"), "t1")
		if err := lookup(); err != nil {
			t.Errorf("a token that is still valid: %v", err)
		}
		i.set(nil, "t2")
		if err := lookup(); err != nil || i.asked() != 2 {
			t.Errorf("%v, the source was asked %d times", err, i.asked())
		}
	})
}

func TestRefusedTokenIsRefreshedOnce(t *testing.T) {
	i := &issuer{accepted: "t2"}
	withTokens(t, i, func(t *testing.T, _ *fakeregistry.Registry, c *Client) {
		if _, err := c.Lookup(t.Context(), Service("shop", "pay")); err != nil || i.asked() != 2 {
			t.Errorf("%v, the source was asked %d times", err, i.asked())
		}
		i.set(nil, "none")
		_, err := c.Lookup(t.Context(), Service("shop", "pay"))
		if ReasonOf(err) != ReasonUnauthenticated || i.asked() != 3 {
			t.Errorf("%v, the source was asked %d times", err, i.asked())
		}
		if want := "muster: lookup shop/pay: server a:1: token expired [UNAUTHENTICATED]"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}

func TestStreamsGoOnWithAFreshToken(t *testing.T) {
	i := &issuer{accepted: "t1"}
	withTokens(t, i, func(t *testing.T, r *fakeregistry.Registry, c *Client) {
		expired := make(chan struct{})
		r.OnKeepAlive = func(*musterv1.KeepAliveRequest) (*musterv1.KeepAliveResponse, error) {
			if i.asked() == 1 {
				i.set(nil, "t2")
				close(expired)
				return nil, refusedToken()
			}
			return nil, nil
		}
		reg := mustRegister(t, c, spec("pay-1"))
		<-expired
		reach(t, reg, Unconfirmed, time.Second)
		reach(t, reg, Active, time.Second)
		time.Sleep(time.Minute)
		if n := len(fakeregistry.Calls[*musterv1.RegisterRequest](r)); n != 1 || i.asked() != 2 {
			t.Errorf("%d registrations, the source was asked %d times", n, i.asked())
		}
	})
}

func TestRegistrationOutlivesATokenThatIsRenewedTooLate(t *testing.T) {
	i := &issuer{accepted: "t1"}
	withTokens(t, i, func(t *testing.T, r *fakeregistry.Registry, c *Client) {
		reg := mustRegister(t, c, spec("pay-1"))
		synctest.Wait() // the keepalive stream is open
		i.set(errors.New("the issuer is away"), "t2")
		r.Expire()
		time.Sleep(time.Minute)
		if s := reg.Status(); s.State != Registering || !strings.Contains(s.Reason, "no token to call the registry with: the issuer is away; check the token source [UNAUTHENTICATED]") {
			t.Errorf("status %v (%s)", s.State, s.Reason)
		}
		i.set(nil, "t2")
		reach(t, reg, Active, 10*time.Second)
	})
}

func TestTokenSourceThatFailsIsTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		source TokenSource
		want   string
	}{
		{"a file that is missing", TokenFile("/nonexistent/token"), "file /nonexistent/token: no such file or directory"},
		{"an empty token", FixedToken(""), "the token is empty"},
		{"a token of control characters", FixedToken("a\nb"), "the token has characters other than printable ASCII"},
		{"a token that is too long", FixedToken(strings.Repeat("x", 8193)), "the token has 8193 bytes, at most 8192 are allowed"},
	} {
		inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
			_, config := withTLS(t, r, a, "a")
			client := newTLSClient(t, r, config, WithToken(c.source))
			_, err := client.Register(t.Context(), spec("pay-1"))
			want := "muster: no token to call the registry with: " + c.want + "; check the token source [UNAUTHENTICATED]"
			if err == nil || err.Error() != want {
				t.Errorf("%s: %v\nwant %s", c.name, err, want)
			}
		})
	}
}

func TestTokenFileIsReadAgain(t *testing.T) {
	i := &issuer{accepted: "first"}
	path := write(t, filepath.Join(t.TempDir(), "token"), []byte("first\n"))
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		_, config := withTLS(t, r, a, "a")
		r.OnAuth = i.authorize
		c := newTLSClient(t, r, config, WithToken(TokenFile(path)))
		lookup := func() error {
			_, err := c.Lookup(t.Context(), Service("shop", "pay"))
			return err
		}
		if err := lookup(); err != nil {
			t.Fatal(err)
		}
		write(t, path, []byte("second"))
		if err := lookup(); err != nil {
			t.Errorf("what was read is good for a while: %v", err)
		}
		i.set(nil, "second")
		if err := lookup(); err != nil {
			t.Errorf("refused, so read again: %v", err)
		}
		write(t, path, []byte("third"))
		time.Sleep(11 * time.Second)
		i.set(nil, "third")
		if err := lookup(); err != nil {
			t.Errorf("old, so read again: %v", err)
		}
	})
}

func TestTokenWithoutTLSIsRefusedAtConstruction(t *testing.T) {
	_, err := New([]string{"a:1"}, WithToken(FixedToken("secret")))
	want := "muster: option Token: a token without TLS is not allowed; it is never sent in plaintext; set TLS, too [INVALID_ARGUMENT]"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
