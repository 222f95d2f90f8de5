package muster

import (
	"context"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// LookupOption changes one Lookup.
type LookupOption func(*musterv1.LookupRequest)

// MinPosition reads at a position or later. Without it, own writes are seen.
func MinPosition(at Position) LookupOption {
	return func(r *musterv1.LookupRequest) {
		r.MinPosition = &musterv1.Position{Epoch: at.Epoch, Revision: at.Revision}
	}
}

// Linearizable reads everything that was acknowledged anywhere before the call
// began; it costs the registry more.
func Linearizable() LookupOption {
	return func(r *musterv1.LookupRequest) { r.Consistency = musterv1.Consistency_CONSISTENCY_LINEARIZABLE }
}

// Lookup reads what a selector matches, once, at one revision. It sees all own
// writes that were acknowledged before. ctx bounds the call (5 s without a
// deadline). A service that does not exist is no error: View.Intent and
// View.Why tell. To follow changes, Subscribe.
func (c *Client) Lookup(ctx context.Context, selector Selector, options ...LookupOption) (*View, error) {
	if err := selector.validate(); err != nil {
		return nil, err
	}
	if c.isClosing() {
		return nil, closedError("client")
	}
	selector = selector.clone()
	written := c.lastWrite()
	request := &musterv1.LookupRequest{Selector: selector.proto()}
	if written != (Position{}) {
		MinPosition(written)(request)
	}
	for _, o := range options {
		o(request)
	}
	own := request.GetMinPosition().GetEpoch() == written.Epoch && request.GetMinPosition().GetRevision() == written.Revision
	response, err := c.lookup(ctx, selector, request)
	if err != nil && err.Reason == ReasonEpochChanged && own {
		c.forgetWrites(written)
		request.MinPosition = nil
		response, err = c.lookup(ctx, selector, request)
	}
	if err != nil {
		return nil, err
	}
	v, err := c.viewOf(selector, response)
	if err != nil {
		return nil, err
	}
	c.cache.offer(selector.key(), v)
	return v, nil
}

func (c *Client) lookup(ctx context.Context, selector Selector, request *musterv1.LookupRequest) (response *musterv1.LookupResponse, err *Error) {
	err = c.call(ctx, "lookup", selector.String(), func(ctx context.Context, s *server) (failed error) {
		response, failed = s.discovery().Lookup(ctx, request)
		return failed
	})
	return response, err
}

// viewOf verifies an answer and makes it a view.
func (c *Client) viewOf(selector Selector, response *musterv1.LookupResponse) (*View, *Error) {
	var f frameState
	_, broken := f.snapshot(&musterv1.Snapshot{
		Header: response.GetHeader(),
		Chunk:  &musterv1.Chunk{Position: musterv1.ChunkPosition_CHUNK_POSITION_FINAL},
		Cause:  musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST, Instances: response.GetInstances(), Services: response.GetServices(),
	}, nil, 0)
	if broken != nil {
		server := c.Status().Server
		c.config.telemetry.observe(FrameRejected{selector.String(), server, FrameFault(broken.fault)})
		return nil, violationError(server, broken.text)
	}
	h := response.GetHeader()
	v := newView(selector, &c.config, c.watcher.clock)
	v.received, v.source = true, SourceRegistry
	v.timing = (&rules.StreamClock{}).Frame(c.watcher.clock.nowMs(), h.GetServerUptimeMs(), h.GetDataAgeMs())
	v.position, v.viewID, v.digest, v.count = f.position, f.viewID, f.set.digest, f.set.count()
	v.instances, v.services = f.set.instances, f.set.services
	v.forbidden = serviceNamesFrom(response.GetForbidden())
	v.recovering, v.isolated = recovering(h), isolated(h)
	v.snapshots, v.cause = 1, SnapshotFirst
	return v, nil
}
