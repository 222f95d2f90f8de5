package stage

import (
	"errors"
	"net"
	"strconv"
	"sync"

	"github.com/muster-registry/muster/conformance/harness/listen"
)

const (
	// Ports below those that the kernel hands out: a client that dials a port of
	// that range while nobody listens may otherwise be connected to itself.
	firstPort  = 10240
	blockSize  = 1500
	blockCount = 14
)

// block is the ports of this process: other harnesses on the machine leave them
// alone, since the first of them is listened on.
var block struct {
	mu    sync.Mutex
	first int
	next  int
	// held keeps the block as long as the process lives.
	held net.Listener
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// claim takes a block of ports unless the process has one.
func claim() error {
	for n := 0; block.held == nil && n < blockCount; n++ {
		first := firstPort + n*blockSize
		if held, err := net.Listen("tcp", loopback(first)); err == nil { //nolint:noctx // does not block
			block.held, block.first = held, first
		}
	}
	if block.held == nil {
		return errors.New("all blocks of ports from 10240 on are taken by other harnesses")
	}
	return nil
}

// freeAddress is a loopback address on which nobody listens. It is not given
// out again before all others of the process were.
func freeAddress() (string, error) {
	block.mu.Lock()
	defer block.mu.Unlock()
	if err := claim(); err != nil {
		return "", err
	}
	for range blockSize {
		block.next++
		address := loopback(block.first + 1 + block.next%(blockSize-1))
		if listen.Unused(address) {
			return address, nil
		}
	}
	return "", errors.New("no free port on 127.0.0.1")
}
