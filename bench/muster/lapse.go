package muster

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

var _ drive.Lapser = (*Server)(nil)

// Lapse registers an instance under a lease that nobody renews.
func (s *Server) Lapse(ctx context.Context, conn int, key uint64, ttl time.Duration) (time.Duration, error) {
	ttl = ttl.Round(time.Millisecond)
	request := payload.RegisterRequest(key, ttl, payload.Instance(payload.Service(key), key))
	err := s.Conns.Call(ctx, conn, musterv1.RegistrationService_Register_FullMethodName, payload.Encode(request), &raw.Reply{})
	return ttl, err
}

// Removals watches the services of n instances, each by its own subscription
// of one stream, and tells of each instance that is removed.
func (s *Server) Removals(ctx context.Context, from uint64, n int, seen func(uint64, time.Time)) (<-chan struct{}, error) {
	request := &musterv1.WatchRequest{}
	for key := from; key < from+uint64(n); key += payload.ServiceInstances {
		request.Subscriptions = append(request.Subscriptions, &musterv1.Subscription{
			SubscriptionId: uint32(len(request.GetSubscriptions()) + 1), Selector: services(payload.Service(key)),
		})
	}
	stream, err := s.watch(ctx, 0, request)
	if err != nil {
		return nil, err
	}
	opened := &musterv1.WatchResponse{}
	if err := stream.RecvMsg(&raw.Reply{Into: opened}); err != nil {
		return nil, fmt.Errorf("begin to watch: %w", err)
	}
	held := newHoldings(from, n, opened.GetOpened())
	// A snapshot for each subscription.
	for range request.GetSubscriptions() {
		if err := stream.RecvMsg(&raw.Reply{}); err != nil {
			return nil, fmt.Errorf("begin to watch: %w", err)
		}
	}
	done := make(chan struct{})
	go func() {
		var reply raw.Reply
		reply.Keep = true
		for held.left > 0 {
			if stream.RecvMsg(&reply) != nil {
				return // the caller's context ends its waiting
			}
			at := time.Now()
			held.take(reply.Data, func(key uint64) { seen(key, at) })
		}
		close(done)
	}()
	return done, nil
}

// Where a frame names the instances that it removes: field numbers, which
// TestRemovals holds to the contract.
const (
	snapshotOfFrame    = 2
	deltaOfFrame       = 3
	instancesOfMessage = 4
	removalsOfDelta    = 6
	keyOfRemoval       = 2
	instanceIDOfKey    = 3
)

// removals finds the instances that a frame removes, without decoding the
// rest, and returns how many there are.
func removals(frame []byte, seen func(key uint64)) int {
	n := 0
	each(frame, deltaOfFrame, func(delta []byte) {
		each(delta, removalsOfDelta, func(removal []byte) {
			each(removal, keyOfRemoval, func(name []byte) {
				each(name, instanceIDOfKey, func(id []byte) {
					if key, ok := keyOf(id); ok {
						seen(key)
						n++
					}
				})
			})
		})
	})
	return n
}

// keyOf is the key of an instance.
func keyOf(instanceID []byte) (key uint64, ok bool) {
	_, digits, _ := strings.Cut(string(instanceID), "-")
	key, err := strconv.ParseUint(digits, 10, 64)
	return key, err == nil
}

// each calls f for each field of that number, which holds bytes.
func each(message []byte, field protowire.Number, f func([]byte)) {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		message = message[n:]
		if num == field && typ == protowire.BytesType {
			if value, size := protowire.ConsumeBytes(message); size >= 0 {
				f(value)
			}
		}
		if n = protowire.ConsumeFieldValue(num, typ, message); n < 0 {
			return
		}
		message = message[n:]
	}
}
