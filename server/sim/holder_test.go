package sim

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

// holder is a process that registers instances and keeps their lease.
type holder struct {
	world     *world
	instances []*musterv1.Instance
	ttl       time.Duration
	lease     *musterv1.Lease
	// promised is until when the registry promised to keep the lease, and
	// heard when a server last had word of it.
	promised, heard time.Time
	stream          interface {
		Send(*musterv1.KeepAliveRequest) error
		Recv() (*musterv1.KeepAliveResponse, error)
		CloseSend() error
	}
	cancel   context.CancelFunc
	client   servertest.Clients
	sequence uint64
}

func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if i, ok := d.(*errdetails.ErrorInfo); ok {
			return i.GetReason()
		}
	}
	return ""
}

func (h *holder) String() string {
	return fmt.Sprintf("%s/%s", h.instances[0].GetService(), h.instances[0].GetInstanceId())
}

// register registers, as a new process would, or as the same one again.
func (h *holder) register() {
	w := h.world
	req := servertest.Register(h.ttl, h.instances...)
	if h.lease != nil {
		req.Claim = &musterv1.RegisterRequest_Previous{Previous: &musterv1.PreviousLease{
			LeaseId: h.lease.GetLeaseId(), Epoch: h.lease.GetEpoch(), Incarnation: h.lease.GetIncarnation(),
		}}
	}
	_, before := w.history.head()
	sent := time.Now()
	res, err := w.dial().Register(w.t.Context(), req)
	switch reasonOf(err) {
	case "":
		if err != nil {
			return // the server is down; the outcome is unknown
		}
		w.must("M6.9b/create", h.mayRegister(before), "%s was registered over another lease without a claim", h)
		h.lease, h.promised, h.heard = res.GetLease(), sent.Add(h.ttl), time.Now()
		h.checkStored(res.GetRevision())
	case "FENCED":
		w.must("M6.9b/fenced", h.lease != nil, "%s fenced without ever having had a lease", h)
		h.lease, h.promised = nil, time.Time{}
		w.count("M6.9b/fenced")
	case "INSTANCE_EXISTS":
		w.must("M6.9b/exists", !h.mayRegister(before), "%s exists though nobody holds it", h)
	case "STORE_FULL", "STORE_FAILED", "SHUTTING_DOWN":
	default:
		w.must("M6.9b", false, "register %s: %v", h, err)
	}
}

// mayRegister tells whether the rules allow the registration in a state.
func (h *holder) mayRegister(s state) bool {
	for _, in := range h.instances {
		e, ok := s["/i/shop/"+in.GetService()+"/"+in.GetInstanceId()]
		if ok && (h.lease == nil || instanceRecord(e).GetLeaseId() != h.lease.GetLeaseId()) {
			return false
		}
	}
	return true
}

// checkStored tells that what was acknowledged is in the history, whole.
func (h *holder) checkStored(revision uint64) {
	s, ok := h.world.history.at(revision)
	h.world.must("M5.7a", ok, "revision %d was answered and never committed", revision)
	for _, in := range h.instances {
		e, ok := s["/i/shop/"+in.GetService()+"/"+in.GetInstanceId()]
		h.world.must("M5.7a", ok && instanceRecord(e).GetLeaseId() == h.lease.GetLeaseId(), "%s was answered at %d and is not there", in.GetInstanceId(), revision)
	}
}

// renew sends one keepalive and takes the answer.
func (h *holder) renew() {
	if h.lease == nil {
		return
	}
	if h.stream == nil {
		h.client = h.world.dial()
		ctx, cancel := context.WithCancel(h.world.t.Context())
		stream, err := h.client.KeepAlive(ctx)
		if err != nil {
			cancel()
			return
		}
		h.stream, h.cancel, h.sequence = stream, cancel, 0
	}
	h.sequence++
	sent := time.Now()
	if err := h.stream.Send(&musterv1.KeepAliveRequest{Sequence: h.sequence, LeaseIds: []string{h.lease.GetLeaseId()}}); err != nil {
		h.hangUp()
		return
	}
	res, err := h.stream.Recv()
	if err != nil {
		h.hangUp()
		return
	}
	h.world.must("M6.2a/order", res.GetSequence() == h.sequence, "answer to %d, want %d", res.GetSequence(), h.sequence)
	_, s := h.world.history.head()
	_, exists := s["/l/"+h.lease.GetLeaseId()]
	switch x := res.GetExceptions(); {
	case len(x) == 0:
		h.world.must("M6.2a", exists, "%s: a lease was confirmed that does not exist", h)
		h.promised, h.heard = sent.Add(h.ttl), time.Now()
	case x[0].GetLost() != nil:
		h.world.must("M6.2a/lost", !exists, "%s: a lease was reported lost that exists", h)
	}
}

// hangUp breaks the keepalive stream.
func (h *holder) hangUp() {
	if h.stream != nil {
		h.cancel()
		h.stream = nil
	}
}

// halfClose ends the keepalive stream politely.
func (h *holder) halfClose() {
	if h.stream == nil {
		return
	}
	_ = h.stream.CloseSend()
	for {
		if _, err := h.stream.Recv(); err != nil {
			break
		}
	}
	h.hangUp()
}

// update changes one random field of one instance.
func (h *holder) update() {
	if h.lease == nil {
		return
	}
	rng := h.world.rng
	in := h.instances[rng.IntN(len(h.instances))]
	next := randomInstance(rng, in.GetService(), in.GetInstanceId())
	next.SelfHealth = &musterv1.SelfHealth{Health: musterv1.Health(1 + rng.IntN(3)), Reason: "simulated"}
	path := []string{"version", "locality", "metadata", "weight", "self_health"}[rng.IntN(5)]
	before, _ := h.world.history.head()
	res, err := h.world.dial().Update(h.world.t.Context(), &musterv1.UpdateRequest{
		LeaseId: h.lease.GetLeaseId(), Instance: next, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{path}},
	})
	if err == nil {
		_, ok := h.world.history.at(res.GetRevision())
		h.world.must("M5.7a", ok && res.GetRevision() >= before, "update answered at %d, history at %d", res.GetRevision(), before)
	}
}

// deregister ends the lease.
func (h *holder) deregister() {
	if h.lease == nil {
		return
	}
	res, err := h.world.dial().Deregister(h.world.t.Context(), &musterv1.DeregisterRequest{LeaseId: h.lease.GetLeaseId()})
	if err != nil {
		if r := reasonOf(err); r == "LEASE_UNKNOWN" {
			h.lease = nil
		}
		return
	}
	s, _ := h.world.history.at(res.GetRevision())
	_, exists := s["/l/"+h.lease.GetLeaseId()]
	h.world.must("M5.7a", !exists, "%s: deregistered, and the lease is there", h)
	h.lease, h.promised = nil, time.Time{}
}
