package mustergrpc

import (
	"context"
	"errors"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/muster-registry/muster/client-go"
)

const (
	// drainWait is how long Serve waits for watchers, maxSafeAfter how long at
	// most for answers from before, gracefulWait how long for calls in flight,
	// and deregisterWait for the registry: 25 s together, inside of the 30 s
	// that orchestrators usually give.
	drainWait      = 5 * time.Second
	maxSafeAfter   = 5 * time.Second
	gracefulWait   = 10 * time.Second
	deregisterWait = 5 * time.Second
)

// Serve runs a server's whole life: it serves, sets the registration to
// SERVING, and when ctx ends or the process gets SIGINT or SIGTERM, it drains,
// stops once calls in flight have ended, and deregisters. Register with
// Lifecycle: muster.Starting, so that nobody calls before the server listens. A
// second signal during the drain ends the process as usual.
//
// It returns nil after an orderly end, and the server's error if that stopped
// by itself; the registration is ended in any case. What cannot be done on the
// way out (a drain without registry, calls that do not end within 10 s) is
// left out.
func Serve(ctx context.Context, server *grpc.Server, listener net.Listener, registration *muster.Registration) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	registration.SetLifecycle(muster.Serving)
	select {
	case err := <-served:
		return errors.Join(err, deregister(ctx, registration))
	case <-ctx.Done():
	}
	stop()
	drain(ctx, registration)
	stopGracefully(server)
	err := <-served
	if errors.Is(err, grpc.ErrServerStopped) {
		err = nil
	}
	return errors.Join(err, deregister(ctx, registration))
}

// drain waits until no watcher picks the instances, and until answers from
// before are no longer used. The report is logged by the registration.
func drain(ctx context.Context, registration *muster.Registration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWait)
	defer cancel()
	report, err := registration.Drain(ctx)
	if err != nil || report.SafeAfter <= 0 {
		return
	}
	time.Sleep(min(report.SafeAfter, maxSafeAfter))
}

// stopGracefully lets calls in flight end, for a while.
func stopGracefully(server *grpc.Server) {
	impatient := time.AfterFunc(gracefulWait, server.Stop)
	defer impatient.Stop()
	server.GracefulStop()
}

func deregister(ctx context.Context, registration *muster.Registration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deregisterWait)
	defer cancel()
	return registration.Deregister(ctx)
}
