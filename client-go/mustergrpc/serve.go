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
	"github.com/muster-registry/muster/client-go/internal/rules"
	"github.com/muster-registry/muster/client-go/internal/seam"
)

// Serve runs a server's whole life: it serves, sets the registration to
// SERVING, and when ctx ends or the process gets SIGINT or SIGTERM, it drains,
// stops once calls in flight have ended, and deregisters. Register with
// Lifecycle: muster.Starting, so that nobody calls before the server listens. A
// second signal during the drain ends the process as usual.
//
// The end fits into muster.Config.GracePeriod of the registration's client, 30 s
// unless that says otherwise: at most 5 s for watchers and another 5 s for
// answers from before, until 20 s for calls in flight, and then 5 s for
// deregistering. Calls get whatever more there is. What cannot be done on the
// way out (a drain without registry, calls that do not end in time) is left out.
//
// It returns nil after an orderly end, and the server's error if that stopped
// by itself; the registration is ended in any case.
func Serve(ctx context.Context, server *grpc.Server, listener net.Listener, registration *muster.Registration) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	ending := ending{registration: registration, grace: rules.GraceOf(seam.GracePeriodMs(registration))}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	registration.SetLifecycle(muster.Serving)
	select {
	case err := <-served:
		return errors.Join(err, ending.deregister(ctx))
	case <-ctx.Done():
	}
	stop()
	ending.began = time.Now()
	ending.drain(ctx)
	ending.stop(server)
	err := <-served
	if errors.Is(err, grpc.ErrServerStopped) {
		err = nil
	}
	return errors.Join(err, ending.deregister(ctx))
}

// ending is the end of a server's life, within the grace period.
type ending struct {
	registration *muster.Registration
	grace        rules.Grace
	// began is when the process was told to stop.
	began time.Time
}

// left is the time until a moment of the grace period.
func (e *ending) left(momentMs int64) time.Duration {
	return time.Until(e.began.Add(milliseconds(momentMs)))
}

// drain waits until no watcher picks the instances, and until answers from
// before are no longer used. The report is logged by the registration.
func (e *ending) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.left(e.grace.WatchersMs))
	defer cancel()
	if report, err := e.registration.Drain(ctx); err == nil {
		time.Sleep(min(report.SafeAfter, e.left(e.grace.AnswersMs)))
	}
}

// stop lets calls in flight end, for a while.
func (e *ending) stop(server *grpc.Server) {
	impatient := time.AfterFunc(e.left(e.grace.CallsMs), server.Stop)
	defer impatient.Stop()
	server.GracefulStop()
}

func (e *ending) deregister(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), milliseconds(e.grace.DeregisterMs))
	defer cancel()
	return e.registration.Deregister(ctx)
}
