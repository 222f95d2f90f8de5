package limit

import (
	"context"
	"flag"
	"fmt"
	"net"

	"github.com/muster-registry/muster/bench/child"
	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/raw"
)

// FanRole is the argument that makes the benchmark's program one of the
// servers that only fan out.
const FanRole = "serve-limit-fan"

// ServeFan is the role: it serves until the context ends.
func ServeFan(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(FanRole, flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	fromShards := flags.Bool("direct", false, "send from shards, not from a goroutine a stream")
	if err := flags.Parse(args); err != nil {
		return err
	}
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", *listen, err)
	}
	if *fromShards {
		return ServeDirect(ctx, lis)
	}
	return ServeBroadcast(ctx, lis)
}

// FanTarget starts a server that only fans out.
type FanTarget struct {
	// Direct tells that it sends from shards.
	Direct bool
	// Sizes are those of the messages.
	Sizes FanSizes
}

// Name is "limit" or "direct".
func (t FanTarget) Name() string {
	if t.Direct {
		return "direct"
	}
	return "limit"
}

// Start starts it.
func (t FanTarget) Start(ctx context.Context, c drive.Config) (drive.Server, error) {
	running, err := child.StartOwn(ctx, 1, func(address string) []string {
		return []string{FanRole, "-listen", address, fmt.Sprintf("-direct=%t", t.Direct)}
	})
	if err != nil {
		return nil, err
	}
	s := &FanServer{Server: running, sizes: t.Sizes}
	if err := s.Answered(ctx, c.Unready, "the limit", s.publish); err != nil {
		return nil, err
	}
	return s, nil
}

// FanServer is a running server.
type FanServer struct {
	*child.Server
	sizes FanSizes
}

var _ drive.Target = FanTarget{}

// Fan makes connections of its own to the server.
func (s *FanServer) Fan(conns int) (*Fan, error) {
	return DialFan(s.Conns.Conn(0).Target(), conns, s.sizes)
}

// publish publishes to a topic that nobody watches.
func (s *FanServer) publish(ctx context.Context, conn int) error {
	const nobodys = 1 << 30
	return s.Conns.Call(ctx, conn, publishMethod, bytesValue(publishRequest(nobodys, 1, 1, 0)), &raw.Reply{})
}
