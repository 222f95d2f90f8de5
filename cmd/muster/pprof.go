package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"github.com/muster-registry/muster/server/config"
)

const (
	// mutexFraction is the part of the waits for mutexes that profiles count:
	// few enough to cost nothing.
	mutexFraction = 100
	// profileHeaders bounds how long a client may take to ask.
	profileHeaders = 5 * time.Second
)

// serveProfiles serves profiles of this process as net/http/pprof does, unless
// the address is "off". stop ends that and waits.
func serveProfiles(ctx context.Context, address string, log *slog.Logger) (stop func(), err error) {
	if address == config.PprofOff {
		return func() {}, nil
	}
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve profiles (setting pprof): %w", err)
	}
	runtime.SetMutexProfileFraction(mutexFraction)
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: profileHeaders}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
			log.Warn("profiles are no longer served", "error", err)
		}
	}()
	log.Info("serving profiles", "pprof", "http://"+lis.Addr().String()+"/debug/pprof/")
	return func() {
		_ = server.Close() // a profile that is cut short is nobody's loss
		<-served
	}, nil
}
