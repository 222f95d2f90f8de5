package muster

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/muster-registry/muster/bench/load"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// fillWorkers fill a server before it is measured.
	fillWorkers = 256
	// heldKeys is where the keys of instances begin that are held or looked up.
	heldKeys = 5_000_000_000
)

// Hold registers instances, each with its own lease.
func (s *Server) Hold(ctx context.Context, n int) error {
	s.leases = make([]string, n)
	template := payload.RegisterTemplate(1, s.ttl)
	return load.Each(ctx, fillWorkers, n, func(ctx context.Context, worker, i int) error {
		var answer musterv1.RegisterResponse
		err := s.Conns.Call(ctx, worker, musterv1.RegistrationService_Register_FullMethodName,
			template.Make(heldKeys+uint64(i)), &raw.Reply{Into: &answer})
		if err != nil {
			return err
		}
		s.leases[i] = answer.GetLease().GetLeaseId()
		if len(s.leases[i]) != payload.LeaseIDBytes {
			return fmt.Errorf("a lease id has %d bytes; the limit sends %d: correct the sizes in bench/payload", len(s.leases[i]), payload.LeaseIDBytes)
		}
		return nil
	})
}

// Renew opens a stream that renews the stream's share of the leases, in turn.
func (s *Server) Renew(ctx context.Context, stream, streams, each int) (load.Stream, error) {
	from, to := len(s.leases)*stream/streams, len(s.leases)*(stream+1)/streams
	own := s.leases[from:to]
	if len(own) < each {
		return nil, fmt.Errorf("stream %d has %d leases, fewer than the %d of one request", stream, len(own), each)
	}
	ctx, cancel := context.WithCancel(ctx)
	grpcStream, err := s.Conns.Stream(ctx, stream, musterv1.RegistrationService_KeepAlive_FullMethodName)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open a keepalive stream: %w", err)
	}
	k := &keepalives{stream: grpcStream, cancel: cancel}
	for chunk := range slices.Chunk(own, each) {
		if len(chunk) < each {
			chunk = own[len(own)-each:]
		}
		var b []byte
		for _, id := range chunk {
			b = payload.AppendLeaseID(b, id)
		}
		k.requests = append(k.requests, b)
	}
	return k, nil
}

// keepalives is a stream that goes round its requests.
type keepalives struct {
	stream grpc.ClientStream
	cancel context.CancelFunc
	// requests lack their sequence number.
	requests [][]byte
	// sending is held while a request is sent, and while the stream is half-closed.
	sending  sync.Mutex
	closed   bool
	sent     uint64
	received uint64
}

// halfClosed is how long a server may take to end a stream after the client has.
const halfClosed = time.Second

// Send sends the next request with the next sequence number.
func (k *keepalives) Send() error {
	leases := k.requests[k.sent%uint64(len(k.requests))]
	k.sent++
	request := payload.AppendSequence(make([]byte, 0, len(leases)+12), k.sent)
	k.sending.Lock()
	defer k.sending.Unlock()
	if k.closed {
		return io.EOF
	}
	return k.stream.SendMsg(raw.Request(append(request, leases...)))
}

// Recv takes an answer, which must not hold exceptions.
func (k *keepalives) Recv() error {
	var reply raw.Reply
	var answer musterv1.KeepAliveResponse
	k.received++
	checked := k.received%raw.CheckEvery == 1
	if checked {
		reply.Into = &answer
	}
	if err := k.stream.RecvMsg(&reply); err != nil {
		return err
	}
	// An exception would make the answer longer.
	if reply.Size > 2*payload.KeepAliveResponseBytes {
		return fmt.Errorf("keepalive %d was answered with %d bytes: a lease was not confirmed", k.received, reply.Size)
	}
	if checked && answer.GetSequence() != k.received {
		return fmt.Errorf("keepalive %d was answered as %d", k.received, answer.GetSequence())
	}
	return nil
}

// Close half-closes the stream, as a process does that moves on: a stream that
// breaks would have the server doubt all its leases, and write that down for
// each instance, while something else is measured.
func (k *keepalives) Close() {
	k.sending.Lock()
	defer k.sending.Unlock()
	if k.closed {
		return
	}
	k.closed = true
	if k.stream.CloseSend() != nil {
		k.cancel()
		return
	}
	time.AfterFunc(halfClosed, k.cancel)
}
