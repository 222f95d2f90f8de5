package limit

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/muster-registry/muster/bench/child"
	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
)

// Messages have the lengths that they are asked for. Some lengths do not exist:
// where the length of the payload needs one more byte.
func TestRequestSizes(t *testing.T) {
	for size := minRequest; size < 40_000; size++ {
		if size > 400 && size < 16_300 || size > 16_500 && size < 39_000 {
			continue // nothing changes there
		}
		var value wrapperspb.BytesValue
		b := request(size, 1234)
		if len(b) != size && len(b) != size-1 {
			t.Fatalf("a request of %d bytes has %d", size, len(b))
		}
		if err := proto.Unmarshal(b, &value); err != nil {
			t.Fatal(err)
		}
		if n, ok := wanted(value.GetValue()); !ok || n != payloadOf(1234) {
			t.Fatalf("a request asks for %d, want %d", n, payloadOf(1234))
		}
	}
	if _, ok := wanted([]byte{1, 2, 3}); ok {
		t.Error("a request without a size was taken")
	}
}

// serve runs the limit's server in this process.
func serve(t *testing.T) *Server {
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(maxPayload))
	g.RegisterService(&description, &server{ready: make([]byte, maxPayload)})
	served := make(chan error, 1)
	go func() { served <- g.Serve(lis) }()
	conns, err := raw.Dial(lis.Addr().String(), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conns.Close(); err != nil {
			t.Error(err)
		}
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &Server{Server: &child.Server{Conns: conns}}
}

func TestUnary(t *testing.T) {
	s := serve(t)
	for key := range uint64(3) {
		for _, sizes := range [][2]int{{6, 0}, {300, 120}, {90, 3_000}, {90, 300_000}} {
			if err := s.unary(sizes[0], sizes[1]).op(t.Context(), 1, key); err != nil {
				t.Errorf("%v: %v", sizes, err)
			}
		}
	}
	ops := []drive.Op{s.Register(), s.RegisterBatch(100), s.Smallest()}
	for i, op := range ops {
		if err := op(t.Context(), 0, 0); err != nil {
			t.Errorf("operation %d: %v", i, err)
		}
	}
	wrong := s.unary(100, 50)
	wrong.response = 51
	if err := wrong.op(t.Context(), 0, 0); err == nil {
		t.Error("an answer of another length was taken")
	}
}

func TestStream(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := s.Renew(ctx, 0, 1, 256)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.Send(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := len(stream.(*echoStream).request), payload.KeepAliveRequestBytes(256); got != want {
		t.Errorf("a request has %d bytes, Muster's has %d", got, want)
	}
	stream.Close()
	if err := stream.Recv(); err == nil {
		t.Error("a closed stream answered")
	}
}
