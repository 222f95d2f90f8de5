package fan

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Streams are connections to one server, and the streams on them. Drivers embed
// it.
type Streams struct {
	conns  []*grpc.ClientConn
	ctx    context.Context //nolint:containedctx // the life of the streams, which Close ends
	cancel context.CancelFunc
	joined sync.WaitGroup

	mu  sync.Mutex
	err error
}

// Dial makes connections to a target as grpc.NewClient takes it; they are
// established when they are first used.
func Dial(target string, conns int) (*Streams, error) {
	s := &Streams{}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for range conns {
		c, err := grpc.NewClient(target,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec{}), grpc.MaxCallRecvMsgSize(64<<20)))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("dial %s: %w", target, err), s.Close())
		}
		s.conns = append(s.conns, c)
	}
	return s, nil
}

// Conn is one of the connections; any number will do.
func (s *Streams) Conn(i int) *grpc.ClientConn { return s.conns[i%len(s.conns)] }

// Call makes a unary call.
func (s *Streams) Call(ctx context.Context, conn int, method string, request []byte, answer Sink) error {
	return s.Conn(conn).Invoke(ctx, method, Raw(request), answer)
}

// Scan reads a message into a frame. It must not keep the message.
type Scan func(message []byte, f *Frame) error

// Open opens a stream with one request, waits until scan has seen a complete
// setup frame, and from then on gives each complete frame with changes to f.
func (s *Streams) Open(ctx context.Context, conn int, method string, bidi bool, request []byte, scan Scan, f func(*Frame)) error {
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: bidi}
	stream, err := s.Conn(conn).NewStream(s.ctx, desc, method) //nolint:contextcheck // it outlives the caller's context
	if err != nil {
		return fmt.Errorf("open %s: %w", method, err)
	}
	if err := stream.SendMsg(Raw(request)); err != nil {
		return fmt.Errorf("open %s: %w", method, err)
	}
	if !bidi {
		if err := stream.CloseSend(); err != nil {
			return fmt.Errorf("open %s: %w", method, err)
		}
	}
	ready := make(chan error, 1)
	s.joined.Add(1)
	go func() {
		defer s.joined.Done()
		err := follow(stream, scan, ready, f)
		if s.ctx.Err() == nil {
			s.fail(fmt.Errorf("%s: %w", method, err))
		}
	}()
	select {
	case err := <-ready:
		return err
	case <-ctx.Done():
		return fmt.Errorf("open %s: %w", method, ctx.Err())
	}
}

func follow(stream grpc.ClientStream, scan Scan, ready chan<- error, f func(*Frame)) error {
	var frame Frame
	sink := Sink(func(message []byte) error {
		frame = Frame{Stamps: frame.Stamps[:0], Bytes: len(message)}
		return scan(message, &frame)
	})
	waiting := true
	for {
		if err := stream.RecvMsg(sink); err != nil {
			if waiting {
				ready <- err
			}
			return err
		}
		switch {
		case frame.Setup && waiting && frame.Complete:
			waiting = false
			ready <- nil
		case !frame.Setup:
			f(&frame)
		}
	}
}

func (s *Streams) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// Err is why a stream ended by itself, or nil.
func (s *Streams) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the streams and waits for them.
func (s *Streams) Close() error {
	s.cancel()
	var errs []error
	for _, c := range s.conns {
		errs = append(errs, c.Close())
	}
	s.joined.Wait()
	return errors.Join(errs...)
}
