// Package actor changes and reads a registry as the harness' own hand: on the
// wire, with nothing of the clients that are tested.
package actor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// callTimeout bounds one call.
const callTimeout = 10 * time.Second

// quickBackoff finds a registry again soon after it was restarted.
var quickBackoff = backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.2, Jitter: 0, MaxDelay: 100 * time.Millisecond}

// Actor holds instances in a registry. It is safe for concurrent use.
type Actor struct {
	conn      *grpc.ClientConn
	registrar musterv1.RegistrationServiceClient
	discovery musterv1.DiscoveryServiceClient

	mu    sync.Mutex
	held  map[string]*held
	tasks sync.WaitGroup
}

// held is one registered instance with a lease of its own.
type held struct {
	lease *musterv1.Lease
	stop  context.CancelFunc // half-closes the keepalive stream
	snap  context.CancelFunc // breaks it
	drain chan drained
}

// drained is how a drain ended.
type drained struct {
	response *musterv1.DrainResponse
	err      error
}

// New makes an actor for the registry at an address. It does no I/O.
func New(address string) (*Actor, error) {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: quickBackoff, MinConnectTimeout: time.Second}), grpc.WithNoProxy())
	if err != nil {
		return nil, err
	}
	return &Actor{
		conn: conn, registrar: musterv1.NewRegistrationServiceClient(conn), discovery: musterv1.NewDiscoveryServiceClient(conn),
		held: map[string]*held{},
	}, nil
}

// Close ends all streams and waits for them; what is registered expires.
func (a *Actor) Close() {
	a.mu.Lock()
	for _, h := range a.held {
		h.snap()
	}
	a.mu.Unlock()
	_ = a.conn.Close()
	a.tasks.Wait()
}

// Register registers an instance under a lease of its own, takes it over from
// whoever holds it, and keeps it alive.
func (a *Actor) Register(ctx context.Context, key string, options map[string]string) error {
	instance, ttl, err := describe(key, options)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request := &musterv1.RegisterRequest{
		Instances: []*musterv1.Instance{instance}, Ttl: durationpb.New(ttl), RequestId: rand.Text(),
	}
	answer, err := a.registrar.Register(ctx, request, grpc.WaitForReady(true))
	if holders := presentHolders(err); len(holders) > 0 {
		request.Claim = &musterv1.RegisterRequest_TakeOver{TakeOver: &musterv1.TakeOver{Incarnations: holders}}
		answer, err = a.registrar.Register(ctx, request)
	}
	if err != nil {
		return fmt.Errorf("register %s: %w", key, err)
	}
	a.keep(key, answer.GetLease(), ttl) //nolint:contextcheck // the lease outlives the call
	return nil
}

// keep begins to renew a lease.
func (a *Actor) keep(key string, lease *musterv1.Lease, ttl time.Duration) {
	whole, snap := context.WithCancel(context.Background())
	renewing, stop := context.WithCancel(whole)
	h := &held{lease: lease, stop: stop, snap: snap, drain: make(chan drained, 1)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if before := a.held[key]; before != nil {
		before.stop()
	}
	a.held[key] = h
	a.tasks.Go(func() {
		defer snap()
		a.renew(whole, renewing, lease.GetLeaseId(), ttl/4)
	})
}

// renew keeps a lease alive until renewing ends, over broken streams too.
func (a *Actor) renew(whole, renewing context.Context, lease string, every time.Duration) {
	for renewing.Err() == nil {
		if a.stream(whole, renewing, lease, every) {
			return
		}
		select {
		case <-renewing.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stream is one keepalive stream. It tells whether renewing is over.
func (a *Actor) stream(whole, renewing context.Context, lease string, every time.Duration) bool {
	stream, err := a.registrar.KeepAlive(whole)
	if err != nil {
		return false
	}
	ended := make(chan bool, 1)
	a.tasks.Go(func() {
		for {
			answer, wrong := stream.Recv()
			if wrong != nil || len(answer.GetExceptions()) > 0 && answer.GetExceptions()[0].GetLost() != nil {
				ended <- wrong == nil || errors.Is(wrong, io.EOF) // a lost lease, or half-closed by us
				return
			}
		}
	})
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for sequence := uint64(1); ; sequence++ {
		if err = stream.Send(&musterv1.KeepAliveRequest{Sequence: sequence, LeaseIds: []string{lease}}); err != nil {
			return <-ended
		}
		select {
		case <-ticks.C:
		case over := <-ended:
			return over
		case <-renewing.Done():
			_ = stream.CloseSend() // an intentional move: the lease lives until its TTL
			<-ended
			return true
		}
	}
}

// get finds what Register made.
func (a *Actor) get(key string) (*held, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.held[key]
	if h == nil {
		return nil, fmt.Errorf("%s was not registered by this scenario's registry statements", key)
	}
	return h, nil
}

// Expire stops renewing, as a process that is stuck: the lease ends by its TTL.
func (a *Actor) Expire(key string) error {
	h, err := a.get(key)
	if err == nil {
		h.stop()
	}
	return err
}

// Break breaks the keepalive stream, as a process that was killed.
func (a *Actor) Break(key string) error {
	h, err := a.get(key)
	if err == nil {
		h.snap()
	}
	return err
}

// Deregister ends an instance by choice.
func (a *Actor) Deregister(ctx context.Context, key string) error {
	h, err := a.get(key)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err = a.registrar.Deregister(ctx, &musterv1.DeregisterRequest{LeaseId: h.lease.GetLeaseId()})
	h.stop()
	return err
}

// Update changes fields of an instance, those that options name.
func (a *Actor) Update(ctx context.Context, key string, options map[string]string) error {
	h, err := a.get(key)
	if err != nil {
		return err
	}
	instance, _, err := describe(key, options)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err = a.registrar.Update(ctx, &musterv1.UpdateRequest{
		LeaseId: h.lease.GetLeaseId(), Instance: instance, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths(options)},
	})
	return err
}
