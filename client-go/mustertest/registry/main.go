// Command registry serves a registry in memory over TCP, for tests of programs
// in any language:
//
//	go run ./mustertest/registry -listen 127.0.0.1:0
//
// It prints one line, "listening HOST:PORT", and serves until SIGTERM or
// SIGINT. What was registered is gone with it.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/muster-registry/muster/client-go/mustertest"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "host:port to listen on; port 0 takes a free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

// run serves until the context ends.
func run(ctx context.Context, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	fmt.Printf("listening %s\n", listener.Addr())
	r := mustertest.Start()
	defer r.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	if err := r.Serve(listener); ctx.Err() == nil {
		return fmt.Errorf("serve on %s: %w", address, err)
	}
	return nil
}
