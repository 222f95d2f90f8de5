package stage

import (
	"errors"
	"net"
	"strconv"
	"sync/atomic"
)

const (
	// Ports below those that the kernel hands out: a client that dials a port of
	// that range while nobody listens may otherwise be connected to itself.
	firstPort, portCount = 10240, 20000
	portTries            = 1000
)

// nextPort is shared by all stages of the process, so that no two get the same.
var nextPort atomic.Uint32

// freeAddress is a loopback address that is kept for the stage: nobody else
// of this process gets it.
func freeAddress() (string, error) {
	for range portTries {
		port := firstPort + (portSeed+nextPort.Add(1))%portCount
		address := net.JoinHostPort("127.0.0.1", strconv.FormatUint(uint64(port), 10))
		listener, err := net.Listen("tcp", address) //nolint:noctx // does not block
		if err == nil {
			return address, listener.Close()
		}
	}
	return "", errors.New("no free port on 127.0.0.1")
}
