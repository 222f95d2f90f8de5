package raw

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// maxMessage is the largest answer that a client takes.
const maxMessage = 1 << 30

// Conns are a client's connections to one server, the same for every driver.
type Conns struct {
	conns []*grpc.ClientConn
}

// Dial makes connections; they connect when they are first used.
func Dial(address string, n int) (*Conns, error) {
	c := &Conns{}
	for range n {
		conn, err := grpc.NewClient("passthrough:///"+address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(CallOption(), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
			grpc.WithConnectParams(grpc.ConnectParams{
				// A server that starts is found within milliseconds.
				Backoff:           backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1.2, Jitter: 0.1, MaxDelay: 10 * time.Millisecond},
				MinConnectTimeout: 5 * time.Second,
			}))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("dial %s: %w", address, err), c.Close())
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

// Len is how many there are.
func (c *Conns) Len() int { return len(c.conns) }

// Conn is one of them; numbers beyond the last begin again.
func (c *Conns) Conn(i int) *grpc.ClientConn { return c.conns[i%len(c.conns)] }

// Call does a unary call on a connection.
func (c *Conns) Call(ctx context.Context, conn int, method string, request Request, reply *Reply) error {
	return c.Conn(conn).Invoke(ctx, method, request, reply)
}

// Stream opens a stream on a connection. The context ends it.
func (c *Conns) Stream(ctx context.Context, conn int, method string) (grpc.ClientStream, error) {
	desc := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	return c.Conn(conn).NewStream(ctx, desc, method)
}

// Ready makes the first successful call of a server that is starting, and then
// opens all connections. died is closed if the server ends instead.
func (c *Conns) Ready(ctx context.Context, died <-chan struct{}, call func(ctx context.Context, conn int) error) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		err := call(ctx, 0)
		if err == nil {
			break
		}
		select {
		case <-died:
			return errors.New("it ended while it started")
		case <-ctx.Done():
			return fmt.Errorf("it did not answer: %w", err)
		case <-time.After(500 * time.Microsecond):
		}
	}
	for i := range c.conns {
		if err := call(ctx, i); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

// Close closes them.
func (c *Conns) Close() error {
	var err error
	for _, conn := range c.conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}
