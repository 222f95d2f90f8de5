// Package grpcfault is a gRPC proxy that passes on every call unread, but for
// what its rules name: those it refuses, loses, holds back or alters.
package grpcfault

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/muster-registry/muster/conformance/harness/listen"
)

// handOver is how long an ending call waits for a message under way.
const handOver = time.Second

// Proxy serves on one address and calls another. It is safe for concurrent
// use.
type Proxy struct {
	rules    *Rules
	listener net.Listener
	upstream *grpc.ClientConn

	mu       sync.Mutex
	current  *generation
	closed   bool
	tasks    sync.WaitGroup
	draining []*grpc.Server
}

// Start begins to serve on a loopback address and to pass on to target.
func Start(address, target string) (*Proxy, error) {
	listener, err := listen.On(address)
	if err != nil {
		return nil, err
	}
	upstream, err := grpc.NewClient("passthrough:///"+target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: quickBackoff, MinConnectTimeout: connectTimeout}), grpc.WithUserAgent("fault-proxy"))
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	p := &Proxy{rules: NewRules(), listener: listener, upstream: upstream}
	p.renew()
	p.tasks.Go(p.accept)
	return p, nil
}

// Rules are what happens to calls.
func (p *Proxy) Rules() *Rules { return p.rules }

// Address is where the proxy serves.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// GoAway tells all clients to go on elsewhere, by GOAWAY: calls under way go
// on, new connections are well.
func (p *Proxy) GoAway() {
	old := p.renew()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = append(p.draining, old.server)
	p.tasks.Go(old.server.GracefulStop)
}

// Close ends everything and waits for it.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.rules.Clear()
	p.mu.Lock()
	servers := append(p.draining, p.current.server)
	p.mu.Unlock()
	for _, s := range servers {
		s.Stop()
	}
	_ = p.upstream.Close()
	p.tasks.Wait()
}

// handle passes one call on.
func (p *Proxy) handle(_ any, down grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(down)
	md, _ := metadata.FromIncomingContext(down.Context())
	verdict, err := p.rules.call(method, md)
	if err != nil {
		return err
	}
	defer verdict.done()
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(down.Context(), md.Copy()))
	defer cancel()
	up, err := p.upstream.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	// Ends at the latest when this handler has returned, which ends RecvMsg.
	p.tasks.Go(func() {
		if p.copyUp(method, up, down) != nil {
			cancel()
		}
	})
	answers := make(chan error, 1)
	p.tasks.Go(func() { answers <- p.copyDown(method, verdict, up, down) })
	select {
	case err = <-answers:
		down.SetTrailer(up.Trailer())
		if verdict.lost {
			return status.Error(codes.Unavailable, "the proxy lost the answer")
		}
		return err
	case err = <-verdict.end:
		cancel()
		select { // a message under way is still handed over, unless nobody reads
		case <-answers: //nolint:errcheck // how the call ends is decided already
		case <-time.After(handOver):
		}
		return err
	}
}

// copyUp passes requests on.
func (p *Proxy) copyUp(method string, up grpc.ClientStream, down grpc.ServerStream) error {
	for {
		var f frame
		err := down.RecvMsg(&f)
		if errors.Is(err, io.EOF) {
			return up.CloseSend()
		}
		if err != nil {
			return err
		}
		if !p.rules.request(method) {
			continue
		}
		if err = up.SendMsg(&f); err != nil {
			return nil //nolint:nilerr // copyDown tells how the call ended
		}
	}
}

// copyDown passes answers on until the call ends.
func (p *Proxy) copyDown(method string, verdict *verdict, up grpc.ClientStream, down grpc.ServerStream) error {
	if header, err := up.Header(); err == nil {
		if err = down.SendHeader(header); err != nil {
			return err
		}
	}
	for {
		var f frame
		err := up.RecvMsg(&f)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if verdict.lost || verdict.muted() {
			continue
		}
		altered, err := p.rules.response(down.Context(), method, f.bytes)
		if err != nil {
			return err
		}
		for _, bytes := range altered {
			if err = down.SendMsg(&frame{bytes}); err != nil {
				return err
			}
		}
	}
}
