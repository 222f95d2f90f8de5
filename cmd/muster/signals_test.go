package main

import (
	"bytes"
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestSignals(t *testing.T) {
	tests := []struct {
		name  string
		pause time.Duration
		exits bool
	}{
		{"one Ctrl-C that arrives twice", oneSignal - time.Millisecond, false},
		{"two", oneSignal, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signals, done, joined := make(chan os.Signal, 2), make(chan struct{}), make(chan struct{})
				ctx, cancel := context.WithCancel(t.Context())
				var exit int
				var said bytes.Buffer
				go func() {
					defer close(joined)
					heed(signals, done, cancel, func(code int) { exit = code }, &said)
				}()
				signals <- os.Interrupt
				<-ctx.Done()
				time.Sleep(tt.pause)
				signals <- syscall.SIGTERM
				synctest.Wait()
				close(done)
				<-joined
				if got := exit == exitInterrupted && said.Len() > 0; got != tt.exits {
					t.Errorf("exit code %d after saying %q", exit, said.String())
				}
			})
		})
	}
}
