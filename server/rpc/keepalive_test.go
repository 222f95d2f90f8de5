package rpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/lease"
	"github.com/muster-registry/muster/server/registry"
	"github.com/muster-registry/muster/server/store/storetest"
	"github.com/muster-registry/muster/server/validate"
)

// TestPlainRequestsAreThoseThatDecodingAccepts: what is read without decoding
// means what it means decoded and is valid then, and what clients send is read
// without decoding.
func TestPlainRequestsAreThoseThatDecodingAccepts(t *testing.T) {
	limits := validate.DefaultLimits()
	limits.LeasesPerKeepalive = 3
	s := New(Options{Limits: limits})
	rapid.Check(t, func(t *rapid.T) {
		k := &keepAlive{service: s, previous: rapid.Uint64Range(0, 5).Draw(t, "previous")}
		req := &musterv1.KeepAliveRequest{
			Sequence: rapid.OneOf(rapid.Uint64Range(0, 9), rapid.Uint64()).Draw(t, "sequence"),
			LeaseIds: rapid.SliceOfN(rapid.StringMatching(`[0-9a-f]{32}`), 0, 5).Draw(t, "leases"),
		}
		if n := len(req.GetLeaseIds()); n > 0 && rapid.IntRange(0, 3).Draw(t, "odd") == 0 {
			req.LeaseIds[rapid.IntRange(0, n-1).Draw(t, "which")] = rapid.OneOf(
				rapid.StringMatching(`[0-9a-g]{31,33}`), rapid.StringN(0, 40, 40),
			).Draw(t, "id")
		}
		if rapid.IntRange(0, 9).Draw(t, "reports") == 0 {
			req.Reports = append(req.Reports, &musterv1.HealthReport{})
		}
		b, err := proto.Marshal(req)
		if err != nil {
			t.Skip("not UTF-8")
		}
		if len(b) > 0 && rapid.IntRange(0, 3).Draw(t, "damage") == 0 {
			at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			if i := bytes.IndexByte(b, leaseIDField); i >= 0 && rapid.Bool().Draw(t, "tag") {
				at = i
			}
			b[at] = rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte{0x0a, 0x1a, 0x22, 0x7a})).Draw(t, "by")
		}
		got := &musterv1.KeepAliveRequest{}
		valid := proto.Unmarshal(b, got) == nil && s.check.KeepAlive(got, k.previous) == nil && len(got.GetReports()) == 0
		usual := valid && len(got.ProtoReflect().GetUnknown()) == 0
		for _, id := range got.GetLeaseIds() {
			_, ok := lease.ParseKey([]byte(id))
			usual = usual && ok
		}
		sequence, ok := k.plain(b)
		if ok && !valid || !ok && usual && proto.Equal(got, req) {
			t.Fatalf("%v is plain: %v, valid: %v", got, ok, valid)
		}
		if !ok {
			return
		}
		if sequence != got.GetSequence() || len(k.keys) != len(got.GetLeaseIds()) {
			t.Fatalf("%v is read as %d with %d leases", got, sequence, len(k.keys))
		}
		for i, id := range got.GetLeaseIds() {
			if k.keys[i] != lease.KeyOf(id) {
				t.Fatalf("lease %d of %v is read as another", i, got)
			}
		}
	})
}

func TestConfirmation(t *testing.T) {
	for _, n := range []uint64{1, 127, 128, 1 << 40, 1<<64 - 1} {
		var res musterv1.KeepAliveResponse
		if err := proto.Unmarshal(confirm(n).encoded, &res); err != nil || res.GetSequence() != n || len(res.GetExceptions()) != 0 {
			t.Errorf("the confirmation of %d is %v, %v", n, &res, err)
		}
	}
}

// scripted is a stream that a test plays.
type scripted struct {
	grpc.ServerStream
	ctx  context.Context
	recv func() ([]byte, error)
	sent func(any) error
}

func (s *scripted) Context() context.Context { return s.ctx }
func (s *scripted) SendMsg(m any) error      { return s.sent(m) }
func (s *scripted) RecvMsg(m any) error {
	b, err := s.recv()
	if err == nil {
		m.(*request).take(mem.BufferSlice{mem.SliceBuffer(b)})
	}
	return err
}

func (s *scripted) Recv() (*musterv1.KeepAliveRequest, error) { panic("not used") }
func (s *scripted) Send(*musterv1.KeepAliveResponse) error    { panic("not used") }

func newRegistration(t *testing.T) registration {
	t.Helper()
	st := storetest.NewMemory()
	r := registry.New(registry.Options{Store: st, Log: slog.New(slog.DiscardHandler)})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Stop()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return registration{Service: New(Options{Registry: r, Limits: validate.DefaultLimits(), Log: slog.New(slog.DiscardHandler)})}
}

// TestNothingIsAnsweredAfterTheHandlerReturned: a request that comes while the
// server stops is left unanswered, and its lease unconfirmed (M6.8b).
func TestNothingIsAnsweredAfterTheHandlerReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRegistration(t)
		requests, sent := make(chan []byte), 0
		stream := &scripted{
			ctx:  t.Context(),
			recv: func() ([]byte, error) { return <-requests, nil },
			sent: func(any) error { sent++; return nil },
		}
		done := make(chan error, 1)
		go func() { done <- s.KeepAlive(stream) }()
		requests <- confirm(1).encoded // a request without leases has the same form
		synctest.Wait()
		if sent != 1 {
			t.Fatalf("%d answers, want 1", sent)
		}
		s.Stop()
		if err := <-done; err == nil || !strings.Contains(err.Error(), "stopping") {
			t.Errorf("the stream ended with %v, want that the server stops", err)
		}
		requests <- confirm(2).encoded
		synctest.Wait()
		if sent != 1 {
			t.Error("answered after the handler had returned")
		}
	})
}

// TestPanicReachesTheHandler: it is where panics are recovered from.
func TestPanicReachesTheHandler(t *testing.T) {
	s := newRegistration(t)
	stream := &scripted{
		ctx:  t.Context(),
		recv: func() ([]byte, error) { return confirm(1).encoded, nil },
		sent: func(any) error { panic("boom") },
	}
	defer func() {
		p, _ := recover().(panicked)
		if p.value != "boom" || !strings.Contains(p.Error(), "keepalive_test.go") {
			t.Errorf("recovered %v, want the panic and where it came from", p)
		}
	}()
	t.Errorf("returned %v", s.KeepAlive(stream))
}

// TestHalfCloseWhileAReportIsWritten is seen at once, not after the report: the
// connection may end before.
func TestHalfCloseWhileAReportIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRegistration(t)
		report, err := proto.Marshal(&musterv1.KeepAliveRequest{
			Sequence: 1, LeaseIds: []string{"unknown"},
			Reports: []*musterv1.HealthReport{{
				Key:        &musterv1.InstanceKey{Namespace: "shop", Service: "pay", InstanceId: "a"},
				SelfHealth: &musterv1.SelfHealth{Health: musterv1.Health_HEALTH_HEALTHY},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		requests, release := [][]byte{report}, make(chan struct{})
		k := &keepAlive{service: s.Service, keeper: s.registry.OpenKeeper(), stream: &scripted{
			ctx: t.Context(),
			recv: func() ([]byte, error) {
				if len(requests) == 0 {
					return nil, io.EOF
				}
				b := requests[0]
				requests = requests[1:]
				return b, nil
			},
			sent: func(any) error { <-release; return errors.New("the connection is gone") },
		}}
		go func() {
			synctest.Wait()
			if !k.halfClosed.Load() {
				t.Error("the half-close was not seen")
			}
			close(release)
		}()
		if err := k.serve(); err == nil {
			t.Error("the stream ended well, and could not be answered")
		}
		k.keeper.Close(false)
	})
}
