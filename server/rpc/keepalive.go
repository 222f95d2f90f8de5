package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/lease"
	"github.com/muster-registry/muster/server/registry"
)

// KeepAlive renews leases while the stream lives.
func (s registration) KeepAlive(stream grpc.BidiStreamingServer[musterv1.KeepAliveRequest, musterv1.KeepAliveResponse]) error {
	release, err := s.admitStream(stream.Context())
	if err != nil {
		return toStatus(err)
	}
	defer release()
	k := &keepAlive{service: s.Service, stream: stream, keeper: s.registry.OpenKeeper()}
	// A half-close, or an end that this server chose, says nothing of the
	// client; anything else means that the stream broke. Deferred, for the sake
	// of a panic.
	defer func() { k.keeper.Close(!k.halfClosed.Load() && !isStopping(s.Service)) }()
	return k.serve()
}

// keepAlive is one KeepAlive stream. One goroutine receives, renews and
// answers; the handler waits for it, for the server's stop and for the stream's
// end. They are two, because receiving cannot be interrupted when the server
// stops; returning from the handler ends it.
type keepAlive struct {
	service *Service
	stream  grpc.ServerStream
	keeper  *registry.Keeper
	// halfClosed is set when the client has said that it ends the stream,
	// whatever becomes of the connection then.
	halfClosed atomic.Bool

	// mu is held while a request is answered.
	mu sync.Mutex
	// ended says that the handler returns, or has: nothing may be answered.
	ended bool

	previous uint64        // sequence of the request before
	keys     []lease.Key   // scratch of plain
	ahead    chan received // the next request, if it is being received already
}

// received is what came of receiving.
type received struct {
	request *request
	err     error
}

// serve returns when the stream is to end, as what it is to end with.
func (k *keepAlive) serve() error {
	done := make(chan error, 1)
	go func() { done <- k.run() }()
	err := shuttingDown()
	select {
	case err = <-done:
		var p panicked
		if errors.As(err, &p) {
			panic(p) // for whoever recovers from those of handlers
		}
		return err
	case <-k.service.stopping:
	case <-k.stream.Context().Done():
		err = context.Canceled
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	return toStatus(err)
}

// panicked is a panic on its way from one goroutine to another.
type panicked struct {
	value any
	stack []byte
}

func (p panicked) Error() string { return fmt.Sprintf("%v\n%s", p.value, p.stack) }

// run answers requests in order.
func (k *keepAlive) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked{p, debug.Stack()}
		}
	}()
	req := &request{}
	for {
		req, err = k.receive(req)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return toStatus(context.Canceled)
		}
		if err := k.answer(req); err != nil {
			return err
		}
	}
}

// receive receives the next request, into req unless another is there already.
func (k *keepAlive) receive(req *request) (*request, error) {
	if k.ahead != nil {
		r := <-k.ahead
		k.ahead = nil
		return r.request, r.err
	}
	err := k.stream.RecvMsg(req)
	if errors.Is(err, io.EOF) {
		k.halfClosed.Store(true)
	}
	return req, err
}

// receiveAhead receives the next request while the present one is answered,
// which may take a commit, so that a half-close meanwhile is not missed should
// the connection end before the answer.
func (k *keepAlive) receiveAhead() {
	ahead := make(chan received, 1)
	k.ahead = ahead
	go func() {
		req := &request{}
		err := k.stream.RecvMsg(req)
		if errors.Is(err, io.EOF) {
			k.halfClosed.Store(true)
		}
		ahead <- received{req, err}
	}()
}

// answer answers one request.
func (k *keepAlive) answer(req *request) error {
	defer req.free()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return toStatus(context.Canceled)
	}
	var res any
	if sequence, ok := k.plain(req.bytes()); ok {
		k.previous = sequence
		if r := k.keeper.RenewKeys(sequence, k.keys); r != nil {
			res = r
		} else {
			res = confirm(sequence)
		}
	} else {
		r, err := k.renew(req)
		if err != nil {
			return err
		}
		res = r
	}
	if err := k.stream.SendMsg(res); err != nil {
		return toStatus(context.Canceled)
	}
	return nil
}

// renew answers a request of any kind.
func (k *keepAlive) renew(r *request) (*musterv1.KeepAliveResponse, error) {
	req := &musterv1.KeepAliveRequest{}
	if err := r.decode(req); err != nil {
		return nil, err
	}
	if err := k.service.check.KeepAlive(req, k.previous); err != nil {
		return nil, toStatus(err)
	}
	k.previous = req.GetSequence()
	if len(req.GetReports()) > 0 {
		k.receiveAhead()
	}
	res, err := k.keeper.Renew(k.stream.Context(), req)
	return res, toStatus(err)
}

// The encoded fields of the messages: the field's number and its type.
const (
	sequenceField = 1 << 3 // of type 0
	leaseIDField  = 2<<3 | 2
	leaseIDBytes  = 32
)

// plain reads a request that is nothing but a valid sequence and a number of
// lease_ids of the form that servers make, into keys, without decoding it.
// Nearly all are; whatever is different in any way, or wrong, is not plain.
func (k *keepAlive) plain(b []byte) (sequence uint64, ok bool) {
	if len(b) < 2 || b[0] != sequenceField {
		return 0, false
	}
	sequence, n := binary.Uvarint(b[1:])
	if n <= 0 || sequence <= k.previous {
		return 0, false
	}
	b = b[1+n:]
	const each = 2 + leaseIDBytes
	if len(b)%each != 0 || len(b)/each > int(k.service.limits.GetLeasesPerKeepalive()) {
		return 0, false
	}
	k.keys = k.keys[:0]
	for ; len(b) > 0; b = b[each:] {
		key, ok := lease.ParseKey(b[2:each])
		if !ok || b[0] != leaseIDField || b[1] != leaseIDBytes {
			return 0, false
		}
		k.keys = append(k.keys, key)
	}
	return sequence, true
}

// confirmation is an encoded KeepAliveResponse without exceptions, in one piece
// with what the transport wants of it: a message so small costs little but its
// allocations.
type confirmation struct {
	room    [1 + binary.MaxVarintLen64]byte
	encoded mem.SliceBuffer
	buffers [1]mem.Buffer
}

func confirm(sequence uint64) *confirmation {
	c := &confirmation{}
	c.encoded = binary.AppendUvarint(append(c.room[:0], sequenceField), sequence)
	c.buffers[0] = &c.encoded
	return c
}
