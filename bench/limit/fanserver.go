package limit

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// fanout is how messages get to streams.
type fanout interface {
	// publish sends a message to all streams of a topic, in the order of its revisions.
	publish(topic, stamp uint32, size int)
	// watch serves one stream until its context ends.
	watch(topic uint32, stream grpc.ServerStream) error
}

// ServeBroadcast serves, until the context ends, a bare grpc-go server that
// only broadcasts: from one goroutine and channel per stream.
func ServeBroadcast(ctx context.Context, lis net.Listener) error {
	return serveFan(ctx, lis, &broadcast{topics: map[uint32]*topic{}})
}

// ServeDirect is ServeBroadcast with two goroutines, each of which sends to half
// of the streams.
func ServeDirect(ctx context.Context, lis net.Listener) error {
	d := newDirect(ctx)
	defer d.joined.Wait()
	return serveFan(ctx, lis, d)
}

func serveFan(ctx context.Context, lis net.Listener, f fanout) error {
	s := grpc.NewServer(grpc.ForceServerCodecV2(newFanCodec()))
	s.RegisterService(&fanDesc, f)
	defer context.AfterFunc(ctx, s.Stop)()
	if err := s.Serve(lis); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve on %s: %w", lis.Addr(), err)
	}
	return nil
}

var fanDesc = grpc.ServiceDesc{
	ServiceName: fanService,
	HandlerType: (*fanout)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Publish", Handler: handlePublish}},
	Streams:     []grpc.StreamDesc{{StreamName: "Watch", Handler: handleWatch, ServerStreams: true}},
}

func handlePublish(srv any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // as grpc wants it
	var request wrapperspb.BytesValue
	if err := decode(&request); err != nil {
		return nil, err
	}
	topic, stamp, size, err := readPublish(request.GetValue())
	if err != nil {
		return nil, err
	}
	srv.(fanout).publish(topic, stamp, size)
	return &wrapperspb.BytesValue{Value: request.GetValue()[:8]}, nil
}

func handleWatch(srv any, stream grpc.ServerStream) error {
	var request wrapperspb.BytesValue
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	if len(request.GetValue()) < 4 {
		return errShort
	}
	return srv.(fanout).watch(binary.LittleEndian.Uint32(request.GetValue()), stream)
}

// streamQueue is how many messages may wait for one stream or shard; then
// those who publish wait.
const streamQueue = 64

// broadcast has a goroutine, that of its handler, and a channel per stream.
type broadcast struct {
	mu     sync.Mutex
	topics map[uint32]*topic
}

type topic struct {
	mu       sync.Mutex
	revision uint64
	streams  []*subscriber
}

type subscriber struct {
	queue chan encoded
	done  <-chan struct{}
}

func (b *broadcast) topic(id uint32) *topic {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[id]
	if t == nil {
		t = &topic{}
		b.topics[id] = t
	}
	return t
}

func (b *broadcast) publish(id, stamp uint32, size int) {
	t := b.topic(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.revision++
	m := fanMessage(t.revision, stamp, size)
	for _, s := range t.streams {
		select {
		case s.queue <- m:
		case <-s.done:
		}
	}
}

func (b *broadcast) watch(id uint32, stream grpc.ServerStream) error {
	t, ctx := b.topic(id), stream.Context()
	s := &subscriber{queue: make(chan encoded, streamQueue), done: ctx.Done()}
	t.mu.Lock()
	s.queue <- fanMessage(t.revision, 0, 0)
	t.streams = append(t.streams, s)
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		i := slices.Index(t.streams, s)
		t.streams = slices.Delete(t.streams, i, i+1)
	}()
	for {
		select {
		case m := <-s.queue:
			if err := stream.SendMsg(m); err != nil {
				return err
			}
		case <-s.done:
			return ctx.Err()
		}
	}
}
