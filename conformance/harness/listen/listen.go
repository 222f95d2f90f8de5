// Package listen opens the listeners of the harness.
package listen

import (
	"errors"
	"net"
	"syscall"
	"time"
)

const (
	// inUseWait is how long an address may still be taken.
	inUseWait = 2 * time.Second
	// inUsePause is between attempts.
	inUsePause = 5 * time.Millisecond
)

// On listens on an address that was given up a moment ago: processes that are
// just being started hold the listeners of this one until they run their own
// program.
func On(address string) (net.Listener, error) {
	for began := time.Now(); ; time.Sleep(inUsePause) {
		listener, err := net.Listen("tcp", address) //nolint:noctx // does not block
		if !errors.Is(err, syscall.EADDRINUSE) || time.Since(began) > inUseWait {
			return listener, err
		}
	}
}

// Unused tells whether nobody listens on an address. No process is being started
// meanwhile, so that a process of another program can listen on it at once.
func Unused(address string) bool {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	listener, err := net.Listen("tcp", address) //nolint:noctx // does not block
	return err == nil && listener.Close() == nil
}
