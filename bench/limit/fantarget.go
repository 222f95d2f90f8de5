package limit

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/proc"
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
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the benchmark's own program: %w", err)
	}
	address, err := proc.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	conns, err := raw.Dial(address, 1)
	if err != nil {
		return nil, err
	}
	args := []string{FanRole, "-listen", address, fmt.Sprintf("-direct=%t", t.Direct)}
	p, err := proc.Start(proc.Command{Path: program, Args: args})
	if err != nil {
		return nil, errors.Join(err, conns.Close())
	}
	s := &FanServer{process: p, conns: conns, sizes: t.Sizes}
	if !c.Unready {
		if err := conns.Ready(ctx, p.Exited(), s.publish); err != nil {
			return nil, errors.Join(fmt.Errorf("the limit's server: %w", err), p.Err(), s.Close())
		}
	}
	s.ready = time.Since(p.Started())
	return s, nil
}

// FanServer is a running server.
type FanServer struct {
	process *proc.Process
	conns   *raw.Conns
	sizes   FanSizes
	ready   time.Duration
}

var _ drive.Target = FanTarget{}

// Process is the child.
func (s *FanServer) Process() *proc.Process { return s.process }

// Ready is the time from exec to the first answer.
func (s *FanServer) Ready() time.Duration { return s.ready }

// Close ends it.
func (s *FanServer) Close() error { return errors.Join(s.conns.Close(), s.process.Stop()) }

// Fan makes connections of its own to the server.
func (s *FanServer) Fan(conns int) (*Fan, error) {
	return DialFan(s.conns.Conn(0).Target(), conns, s.sizes)
}

// publish publishes to a topic that nobody watches.
func (s *FanServer) publish(ctx context.Context, conn int) error {
	const nobodys = 1 << 30
	return s.conns.Call(ctx, conn, publishMethod, bytesValue(publishRequest(nobodys, 1, 1, 0)), &raw.Reply{})
}
