package rpc

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc/metadata"
)

func incoming(kv ...string) context.Context {
	return metadata.NewIncomingContext(context.Background(), metadata.Pairs(kv...))
}

// TestNamesOfClientsAreFitToBeShown: they go into the answers that others get,
// which must encode and must not grow with what a stranger sends.
func TestNamesOfClientsAreFitToBeShown(t *testing.T) {
	for _, x := range []struct{ sent, want string }{
		{"orders-1", "orders-1"},
		{"\xff\xfe", "\uFFFD"},
		{strings.Repeat("é", 1000), strings.Repeat("é", 128)},
	} {
		c := clientOf(incoming("muster-client-name", x.sent))
		if c.Name != x.want || !utf8.ValidString(c.Name) || len(c.Name) > maxClientName {
			t.Errorf("%q is shown as %q, want %q", x.sent, c.Name, x.want)
		}
	}
	if c := clientOf(incoming("muster-client", "go/1.2.3")); c.Name != "go/1.2.3" {
		t.Errorf("a client without a name is shown as %q, want its library", c.Name)
	}
}

func TestFeaturesOfClients(t *testing.T) {
	for sent, want := range map[string]bool{"": false, "ack": true, "x, ack ,y": true, "acks": false, "back": false} {
		if got := clientOf(incoming("muster-features", sent)).Acks; got != want {
			t.Errorf("features %q: acks %v, want %v", sent, got, want)
		}
	}
	if !clientOf(incoming("muster-features", "x", "muster-features", "ack")).Acks {
		t.Error("the second of two values is not read")
	}
}

// TestTraceContextsThatAreNoneAreIgnored: they are stored with removals.
func TestTraceContextsThatAreNoneAreIgnored(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for sent, want := range map[string]string{
		good: good, "": "", "x": "", "\xff": "", good + "\xff": "", strings.Repeat(good, 1000): "", strings.ToUpper(good): "",
	} {
		if got := callerOf(incoming("traceparent", sent)).Traceparent; got != want {
			t.Errorf("traceparent %.60q is taken as %.60q, want %q", sent, got, want)
		}
	}
}
