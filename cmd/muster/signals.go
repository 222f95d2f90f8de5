package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// oneSignal is how long signals after the first one count as the same: a
// terminal and a program that passes signals on both send one Ctrl-C.
const oneSignal = 250 * time.Millisecond

// untilSignal is a context that ends with the first SIGINT or SIGTERM, so that
// what runs can end well. A second signal ends the process at once. stop
// releases everything.
func untilSignal(exit func(code int)) (ctx context.Context, stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	done, joined := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(joined)
		defer cancel()
		heed(signals, done, cancel, exit, os.Stderr)
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		<-joined
	}
}

// heed calls cancel at the first signal and exit at a second one.
func heed(signals <-chan os.Signal, done <-chan struct{}, cancel context.CancelFunc, exit func(int), say io.Writer) {
	var first time.Time
	for {
		select {
		case <-done:
			return
		case <-signals:
		}
		switch {
		case first.IsZero():
			first = time.Now()
			cancel()
		case time.Since(first) >= oneSignal:
			fmt.Fprintln(say, "muster: stopped at once by a second signal")
			exit(exitInterrupted)
			return
		}
	}
}
