package mustergrpc

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-registry/muster/client-go"
)

// DebugPage is what a client knows and why its open channels pick which
// instances, in lines for people: Client.Report, and ExplainPick of each channel,
// sorted by service. It does no I/O.
func DebugPage(c *muster.Client) string {
	var parts []string
	channels.Range(func(_, value any) bool {
		b := value.(*viewBalancer)
		if e := b.explain(); e != nil && b.clientID() == c.ID() {
			parts = append(parts, "channel "+e.String())
		}
		return true
	})
	slices.Sort(parts)
	return strings.Join(append([]string{c.Report()}, parts...), "\n") + "\n"
}

// DebugHandler serves DebugPage as plain text, for example at /debug/muster. It
// tells addresses and names of instances, so that it belongs on a port that only
// operators reach.
func DebugHandler(c *muster.Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, DebugPage(c)) // the reader has gone, if it fails
	})
}

// clientID tells the client that the channel was made of; 0 before the first
// view.
func (b *viewBalancer) clientID() uint64 {
	b.mu.Lock()
	defer b.unlock()
	if b.source == nil {
		return 0
	}
	return b.source.self.ClientID
}
