package raw

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	awaitEvery  = 200 * time.Microsecond
	awaitAtMost = 60 * time.Second
)

// Await returns as soon as the server takes connections, without the backoff
// of a client's connection. died is closed if the server ends instead.
func (c *Conns) Await(ctx context.Context, died <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, awaitAtMost)
	defer cancel()
	_, address, _ := strings.Cut(c.Conn(0).Target(), ":///")
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-died:
			return errors.New("the server ended while it started")
		case <-ctx.Done():
			return fmt.Errorf("nothing listens on %s: %w", address, err)
		case <-time.After(awaitEvery):
		}
	}
}
