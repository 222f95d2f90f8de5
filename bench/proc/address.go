package proc

import (
	"context"
	"fmt"
	"net"
)

// FreeAddress is a loopback address that nothing listens on just now.
func FreeAddress(ctx context.Context) (string, error) {
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer lis.Close()
	return lis.Addr().String(), nil
}
