// Command caller finds the instances of demo/greeter through the registry and
// calls them all the time. It writes one JSON object per line to standard
// output: sums of calls, failed calls, and what changes in its view.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	muster "github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/mustergrpc"
	greeterv1 "github.com/muster-registry/muster/examples/go/gen/greeter/v1"
)

type config struct {
	servers, service, name string
	rate, workers          int
	greetings              uint
	timeout, interval      time.Duration
}

func flags() (config, error) {
	var c config
	flag.StringVar(&c.servers, "servers", "127.0.0.1:7070", "registry servers, separated by commas")
	flag.StringVar(&c.service, "service", "demo/greeter", "namespace/service to call")
	flag.StringVar(&c.name, "name", "caller", "name by which the registry knows this client")
	flag.IntVar(&c.rate, "rate", 200, "calls per second, of all workers together")
	flag.IntVar(&c.workers, "workers", 4, "calls at the same time")
	flag.UintVar(&c.greetings, "greetings", 0, "greetings that each call asks for on a stream; 0 makes plain calls")
	flag.DurationVar(&c.timeout, "timeout", time.Second, "deadline of one call")
	flag.DurationVar(&c.interval, "interval", 100*time.Millisecond, "time between sums")
	flag.Parse()
	if c.rate < 1 || c.workers < 1 || c.timeout <= 0 || c.interval <= 0 {
		return c, errors.New("--rate, --workers, --timeout and --interval must be positive")
	}
	return c, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := flags()
	if err == nil {
		err = run(ctx, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config) error {
	client, err := muster.New(strings.Split(c.servers, ","), muster.WithName(c.name),
		muster.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	if err != nil {
		return err
	}
	defer client.Close()

	// The channel and the subscription below have equal selectors, so they share
	// one watch. A program that only calls needs the channel alone.
	channel, err := mustergrpc.NewClient(client, "muster:///"+c.service)
	if err != nil {
		return err
	}
	defer channel.Close()
	namespace, service, _ := strings.Cut(c.service, "/")
	subscription, err := client.Subscribe(muster.Service(namespace, service))
	if err != nil {
		return err
	}
	defer subscription.Close()

	// A caller that begins before the first view would only count failures.
	if _, err = subscription.Wait(ctx, 1); err != nil {
		return err
	}
	greeter := greeterv1.NewGreeterServiceClient(channel)
	totals := newTotals()
	var tasks sync.WaitGroup
	for range c.workers {
		tasks.Go(func() { call(ctx, greeter, c, totals) })
	}
	tasks.Go(func() { sums(ctx, c.interval, subscription, totals) })
	err = watch(ctx, subscription)
	tasks.Wait()
	return err
}
