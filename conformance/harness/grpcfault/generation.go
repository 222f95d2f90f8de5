package grpcfault

import (
	"context"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
)

const (
	// maxMessage is the largest message that passes.
	maxMessage = 64 << 20
	// connectTimeout bounds one attempt to reach the registry.
	connectTimeout = time.Second
	// pingLeast is how often clients may ask whether the proxy lives.
	pingLeast = time.Second
)

// quickBackoff finds a registry again soon after it was restarted.
var quickBackoff = backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.2, Jitter: 0, MaxDelay: 100 * time.Millisecond}

// generation is a server that a GOAWAY replaces, while the address stays.
type generation struct {
	server *grpc.Server
	// conns hands over what the proxy accepted.
	conns chan net.Conn
	done  chan struct{}
	addr  net.Addr
}

// renew begins a new generation and returns the one before.
func (p *Proxy) renew() *generation {
	g := &generation{conns: make(chan net.Conn), done: make(chan struct{}), addr: p.listener.Addr()}
	g.server = grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.UnknownServiceHandler(p.handle),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingLeast, PermitWithoutStream: true}))
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.current
	p.current = g
	p.tasks.Go(func() { _ = g.server.Serve(g) })
	return old
}

// accept hands what arrives to the present generation.
func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		g, closed := p.current, p.closed
		p.mu.Unlock()
		if closed {
			_ = conn.Close()
			return
		}
		select {
		case g.conns <- conn:
		case <-g.done:
			_ = conn.Close()
		}
	}
}

// Accept implements net.Listener.
func (g *generation) Accept() (net.Conn, error) {
	select {
	case conn := <-g.conns:
		return conn, nil
	case <-g.done:
		return nil, errors.New("this generation is over")
	}
}

// Close implements net.Listener; the server calls it once.
func (g *generation) Close() error {
	select {
	case <-g.done:
	default:
		close(g.done)
	}
	return nil
}

// Addr implements net.Listener.
func (g *generation) Addr() net.Addr { return g.addr }

var _ net.Listener = (*generation)(nil)

// until waits for a channel or the end of a call.
func until(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
