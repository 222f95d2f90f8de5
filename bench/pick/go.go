// Package pick measures what the clients' channels need to choose an endpoint
// for a call.
package pick

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/mustergrpc"
)

const (
	namespace, service = "bench", "picked"
	batch              = 100_000
	atLeast            = 300 * time.Millisecond
)

// Go is the cost of a pick by the Go client's channel, in ps, among so many
// endpoints, which are registered at the server and really connected to.
func Go(ctx context.Context, server string, endpoints int) (_ int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client, err := muster.New([]string{server}, muster.WithName("bench-pick"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	stop, err := serve(ctx, client, endpoints)
	if err != nil {
		return 0, err
	}
	defer stop()
	captured := capture("muster_v1")
	conn, err := mustergrpc.NewClient(client, "muster:///"+namespace+"/"+service)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	picker, err := captured.full(ctx, endpoints)
	if err != nil {
		return 0, err
	}
	return cost(ctx, picker)
}

// serve registers endpoints and listens there.
func serve(ctx context.Context, client *muster.Client, endpoints int) (stop func(), err error) {
	g := grpc.NewServer()
	var serving sync.WaitGroup
	stop = func() {
		g.Stop()
		serving.Wait()
	}
	var specs []muster.InstanceSpec
	for i := range endpoints {
		lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			stop()
			return nil, fmt.Errorf("listen: %w", err)
		}
		serving.Go(func() { _ = g.Serve(lis) })
		specs = append(specs, muster.InstanceSpec{
			Namespace: namespace, Service: service, ID: fmt.Sprintf("picked-%d", i),
			Endpoints: []muster.EndpointSpec{{Address: lis.Addr().String()}},
		})
	}
	if _, err := client.Register(ctx, specs...); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// cost is the median of many batches of picks.
func cost(ctx context.Context, p balancer.Picker) (int64, error) {
	info := balancer.PickInfo{FullMethodName: "/t/Call", Ctx: ctx}
	var batches []time.Duration
	for began := time.Now(); time.Since(began) < atLeast; {
		start := time.Now()
		for range batch {
			result, err := p.Pick(info)
			if err != nil || result.SubConn == nil {
				return 0, fmt.Errorf("a pick failed: %w", err)
			}
		}
		batches = append(batches, time.Since(start))
	}
	slices.Sort(batches)
	return batches[len(batches)/2].Nanoseconds() * 1000 / batch, nil
}

// pickers are those that a balancer publishes.
type pickers struct {
	balancer.Builder
	published chan balancer.State
}

// capture has a balancer's pickers told to the benchmark as well.
func capture(name string) *pickers {
	p := &pickers{Builder: balancer.Get(name), published: make(chan balancer.State, 64)}
	balancer.Register(p)
	return p
}

// Build implements balancer.Builder.
func (p *pickers) Build(cc balancer.ClientConn, o balancer.BuildOptions) balancer.Balancer {
	return p.Builder.Build(watchedConn{cc, p.published}, o)
}

type watchedConn struct {
	balancer.ClientConn
	published chan<- balancer.State
}

// UpdateState implements balancer.ClientConn.
func (c watchedConn) UpdateState(s balancer.State) {
	select {
	case c.published <- s:
	default: // nobody reads any more
	}
	c.ClientConn.UpdateState(s)
}

// full waits for a picker that picks among all endpoints.
func (p *pickers) full(ctx context.Context, endpoints int) (balancer.Picker, error) {
	for {
		select {
		case s := <-p.published:
			if s.ConnectivityState == connectivity.Ready && distinct(ctx, s.Picker, endpoints) == endpoints {
				return s.Picker, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("no picker of %d endpoints came: %w", endpoints, ctx.Err())
		}
	}
}

// distinct counts the connections that a picker picks in turn.
func distinct(ctx context.Context, p balancer.Picker, endpoints int) int {
	seen := map[balancer.SubConn]bool{}
	for range 4 * endpoints {
		if result, err := p.Pick(balancer.PickInfo{FullMethodName: "/t/Call", Ctx: ctx}); err == nil {
			seen[result.SubConn] = true
		}
	}
	return len(seen)
}
