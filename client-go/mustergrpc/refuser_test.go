package mustergrpc

import (
	"io"
	"net"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/test/bufconn"
)

// refuser is an endpoint that refuses every request, as one that is full or
// about to stop does: not processed, try elsewhere.
type refuser struct{ requests atomic.Int64 }

func (f *fleet) startRefuser(t *testing.T, address string) *refuser {
	t.Helper()
	r := &refuser{}
	listener := bufconn.Listen(1 << 16)
	f.mu.Lock()
	f.listeners[address] = listener
	f.mu.Unlock()
	f.served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.served.Go(func() { r.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = listener.Close() })
	return r
}

func (r *refuser) serve(conn net.Conn) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(conn, conn)
	if framer.WriteSettings() != nil {
		return
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = framer.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			r.requests.Add(1)
			err = framer.WriteRSTStream(frame.StreamID, http2.ErrCodeRefusedStream)
		}
		if err != nil {
			return
		}
	}
}
