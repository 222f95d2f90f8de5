package muster

import (
	"cmp"
	"context"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// LookupOption changes one Lookup.
type LookupOption func(*lookupCall)

// lookupCall is a Lookup to be.
type lookupCall struct {
	request *musterv1.LookupRequest
	// known is the answer that request.Known names; nil without.
	known *View
	stale bool
	// brief: something is known that may be the answer.
	brief bool
}

// MinPosition reads at a position or later. Without it, own writes are seen.
func MinPosition(at Position) LookupOption {
	return func(l *lookupCall) {
		l.request.MinPosition = &musterv1.Position{Epoch: at.Epoch, Revision: at.Revision}
	}
}

// Linearizable reads everything that was acknowledged anywhere before the call
// began; it costs the registry more.
func Linearizable() LookupOption {
	return func(l *lookupCall) { l.request.Consistency = musterv1.Consistency_CONSISTENCY_LINEARIZABLE }
}

// AllowStale gives what is known if no registry answers: the view of a
// Subscription, the answer of an earlier Lookup, or what is in Config.CacheDir.
// View.Source is then MEMORY or DISK, and View.Age how old it is; it may lack
// own writes. While something is known, every server is tried once and nobody
// waits for the next attempt: an outage of refused connections costs
// milliseconds, one of silence 3 s for each server, and at most the deadline.
func AllowStale() LookupOption { return func(l *lookupCall) { l.stale = true } }

// Lookup reads what a selector matches, once, at one revision. It sees all own
// writes that were acknowledged before. ctx bounds the call (5 s without a
// deadline). A service that does not exist is no error: View.Intent and
// View.Why tell. If nobody answers, the error says so, unless AllowStale is
// given. To follow changes, Subscribe.
func (c *Client) Lookup(ctx context.Context, selector Selector, options ...LookupOption) (*View, error) {
	if err := selector.validate(); err != nil {
		return nil, err
	}
	if c.isClosing() {
		return nil, closedError("client")
	}
	selector = selector.clone()
	fixed, asked := c.fixed.split(selector)
	v := newView(selector, &c.config, c.watcher.clock)
	if asked == nil {
		fixed.showAlone(v)
		return v, nil
	}
	answer, err := c.lookup(ctx, *asked, options)
	if err != nil {
		return nil, err
	}
	if fixed == nil {
		return answer, nil
	}
	*v = *answer
	v.selector = selector
	fixed.addTo(v)
	return v, nil
}

// lookup asks the registry, and remembers what it answers.
func (c *Client) lookup(ctx context.Context, selector Selector, options []LookupOption) (*View, *Error) {
	key := selector.key()
	call := lookupCall{request: &musterv1.LookupRequest{Selector: selector.proto()}, known: c.answers.get(key)}
	call.request.Known = call.known.known()
	written := c.lastWrite()
	if written != (Position{}) {
		MinPosition(written)(&call)
	}
	for _, o := range options {
		o(&call)
	}
	call.brief = call.stale && c.remembered(selector, key) != nil
	own := call.request.GetMinPosition().GetEpoch() == written.Epoch && call.request.GetMinPosition().GetRevision() == written.Revision
	v, err := c.ask(ctx, selector, &call)
	if err != nil && err.Reason == ReasonEpochChanged && own {
		c.forgetWrites(written)
		call.request.MinPosition = nil
		v, err = c.ask(ctx, selector, &call)
	}
	switch {
	case err == nil:
		c.answers.put(key, v)
		c.cache.offer(key, v)
		return v, nil
	case call.stale && noAnswer(err):
		if v := c.remembered(selector, key); v != nil {
			return v, nil
		}
	}
	return nil, err
}

// ask makes the call and verifies its answer. An answer that does not fit what
// it says is unchanged is asked for again, whole.
func (c *Client) ask(ctx context.Context, selector Selector, call *lookupCall) (*View, *Error) {
	var response *musterv1.LookupResponse
	makeCall := c.call
	if call.brief {
		makeCall = c.callBriefly
	}
	err := makeCall(ctx, "lookup", selector.String(), func(ctx context.Context, s *server) (failed error) {
		response, failed = s.discovery().Lookup(ctx, call.request)
		return failed
	})
	if err != nil {
		return nil, err
	}
	if response.GetResult() != musterv1.LookupResult_LOOKUP_RESULT_UNCHANGED {
		return c.viewOf(selector, response)
	}
	if v := c.unchanged(call.known, response); v != nil {
		return v, nil
	}
	if call.request.GetKnown() == nil {
		return nil, violationError(c.Status().Server, "an unchanged answer to a client that knows nothing")
	}
	call.request.Known, call.known = nil, nil
	return c.ask(ctx, selector, call)
}

// viewOf verifies an answer and makes it a view.
func (c *Client) viewOf(selector Selector, response *musterv1.LookupResponse) (*View, *Error) {
	f := newFrameState()
	r := f.snapshot(&musterv1.Snapshot{
		Header: response.GetHeader(),
		Chunk:  &musterv1.Chunk{Position: musterv1.ChunkPosition_CHUNK_POSITION_FINAL},
		Cause:  musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST, Instances: response.GetInstances(), Services: response.GetServices(),
	}, nil, 0)
	if fault, broken := faults[r.Outcome]; broken {
		server := c.Status().Server
		c.config.telemetry.observe(FrameRejected{selector.String(), server, fault})
		return nil, violationError(server, r.Problem)
	}
	v := newView(selector, &c.config, c.watcher.clock)
	f.show(v)
	v.snapshots, v.cause = 1, SnapshotFirst
	c.dated(v, response)
	return v, nil
}

// dated makes v of the time and the place of an answer.
func (c *Client) dated(v *View, response *musterv1.LookupResponse) {
	h := response.GetHeader()
	v.received, v.source = true, SourceRegistry
	v.timing = (&rules.StreamClock{}).Frame(c.watcher.clock.nowMs(), h.GetServerUptimeMs(), h.GetDataAgeMs())
	v.position = Position{h.GetEpoch(), h.GetRevision()}
	v.forbidden = serviceNamesFrom(response.GetForbidden())
	v.recovering, v.isolated = recovering(h), isolated(h)
}

// unchanged is what is known, at the time and place of an answer that says so;
// nil if the answer is of something else.
func (c *Client) unchanged(known *View, response *musterv1.LookupResponse) *View {
	h := response.GetHeader()
	if known == nil || h.GetEpoch() != known.Epoch() || h.GetViewId() != known.viewID ||
		h.GetDigest() != known.digest || h.GetCount() != known.count {
		return nil
	}
	v := *known
	v.superseded = make(chan struct{})
	c.dated(&v, response)
	return &v
}

// noAnswer tells whether an error means that nobody could be asked, rather than
// that the question was refused.
func noAnswer(err *Error) bool { return err.Retryable() && err.Reason != ReasonProtocolViolation }

// remembered is the newest that is known of a selector; nil for nothing.
func (c *Client) remembered(selector Selector, key string) *View {
	v := c.answers.get(key)
	if watched := c.watcher.viewOf(key); watched != nil && (v == nil || !v.newerThan(watched)) {
		v = watched
	}
	if v == nil {
		d := c.cache.load(key)
		if d == nil {
			return nil
		}
		v = newView(selector, &c.config, c.watcher.clock)
		d.show(v)
		return v
	}
	old := *v
	old.superseded = make(chan struct{})
	if old.source == SourceRegistry {
		old.source = SourceMemory
	}
	return &old
}

// newerThan compares places in history.
func (v *View) newerThan(other *View) bool {
	return cmp.Or(cmp.Compare(v.Epoch(), other.Epoch()), cmp.Compare(v.Revision(), other.Revision())) > 0
}
