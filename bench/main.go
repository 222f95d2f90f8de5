// Command bench measures Muster beside what gRPC itself can carry (limit) and
// beside etcd, in one run: the clients are this process, each server is a
// process of its own. docs/performance.md says how to read its figures.
//
//	go run . -quick                      all sections, small
//	go run . -section register,lookup    some of them, full size
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/muster-registry/muster/bench/etcd"
	"github.com/muster-registry/muster/bench/follow"
	"github.com/muster-registry/muster/bench/limit"
)

// roles are what this program does when it is started as a server.
var roles = map[string]func(ctx context.Context, args []string) error{
	limit.Role:    limit.Serve,
	limit.FanRole: limit.ServeFan,
	follow.Role:   follow.Follow,
	etcd.Role:     etcd.Serve,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		if serve, ok := roles[args[0]]; ok {
			err := serve(ctx, args[1:])
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	return o.measure(ctx)
}
