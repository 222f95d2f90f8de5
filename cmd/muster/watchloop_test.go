package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
)

const (
	fakeView  = 77
	fakeEpoch = 7
)

// fakeServer answers each watch by the next function of its script, and the
// last one for ever.
type fakeServer struct {
	musterv1.UnimplementedDiscoveryServiceServer
	musterv1.UnimplementedServerServiceServer
	script  []func(s grpc.ServerStreamingServer[musterv1.WatchResponse]) error
	watches chan *musterv1.WatchRequest
	acks    chan *musterv1.AckWatchRequest
}

// GetServerInfo implements ServerService.
func (f *fakeServer) GetServerInfo(context.Context, *musterv1.GetServerInfoRequest) (*musterv1.GetServerInfoResponse, error) {
	return &musterv1.GetServerInfoResponse{OldestProtocol: 1, NewestProtocol: 1}, nil
}

// Watch implements DiscoveryService.
func (f *fakeServer) Watch(req *musterv1.WatchRequest, s grpc.ServerStreamingServer[musterv1.WatchResponse]) error {
	next := f.script[min(len(f.watches), len(f.script)-1)]
	f.watches <- req
	return next(s)
}

// AckWatch implements DiscoveryService.
func (f *fakeServer) AckWatch(_ context.Context, req *musterv1.AckWatchRequest) (*musterv1.AckWatchResponse, error) {
	f.acks <- req
	return &musterv1.AckWatchResponse{}, nil
}

// watchFake runs "muster watch shop/pay -v" against a script for so long, and
// returns what was asked for and shown.
func watchFake(t *testing.T, d time.Duration, script ...func(grpc.ServerStreamingServer[musterv1.WatchResponse]) error) (f *fakeServer, shown string, exit int) {
	t.Helper()
	f = &fakeServer{script: script, watches: make(chan *musterv1.WatchRequest, 100), acks: make(chan *musterv1.AckWatchRequest, 100)}
	lis, g := bufconn.Listen(1<<16), grpc.NewServer()
	musterv1.RegisterDiscoveryServiceServer(g, f)
	musterv1.RegisterServerServiceServer(g, f)
	served := make(chan error, 1)
	go func() { served <- g.Serve(lis) }()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var text transcript
	a := &app{
		out: text.writer(false), err: text.writer(true), zone: time.UTC,
		dial: func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) },
	}
	exit = a.run(ctx, []string{"watch", "shop/pay", "-v"})
	g.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	return f, text.show(exitOK, true), exit
}

func opened() *musterv1.WatchResponse {
	return &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Opened{Opened: &musterv1.Opened{
		StreamId: "stream", ClusterId: "cluster", Epoch: fakeEpoch,
		Subscriptions: []*musterv1.OpenedSubscription{{SubscriptionId: 1, ViewId: fakeView}},
	}}}
}

func emptySnapshot(change ...func(*musterv1.ViewHeader)) *musterv1.WatchResponse {
	h := &musterv1.ViewHeader{ViewId: fakeView, Epoch: fakeEpoch, Revision: 3}
	for _, c := range change {
		c(h)
	}
	return &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Snapshot{Snapshot: &musterv1.Snapshot{
		Header: h, Chunk: &musterv1.Chunk{Position: musterv1.ChunkPosition_CHUNK_POSITION_FINAL},
		Cause: musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST,
	}}}
}

// sends makes a script that sends frames and then waits for the client to go,
// or fails.
func sends(end error, frames ...*musterv1.WatchResponse) func(grpc.ServerStreamingServer[musterv1.WatchResponse]) error {
	return func(s grpc.ServerStreamingServer[musterv1.WatchResponse]) error {
		for _, f := range frames {
			if err := s.Send(f); err != nil {
				return err
			}
		}
		if end == nil {
			<-s.Context().Done()
		}
		return end
	}
}

func refusal(r musterv1.ErrorReason) error { return fault.New(r, "no").GRPCStatus().Err() }

func TestWatchReopensWhatIsSilentWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f, shown, exit := watchFake(t, watchIdle+watchMaxDelay, sends(nil, opened(), emptySnapshot()))
		if len(f.watches) != 2 || exit != exitInterrupted {
			t.Fatalf("%d streams, exit code %d, after %s:\n%s", len(f.watches), exit, time.Since(began), shown)
		}
		if first := <-f.watches; first.GetSubscriptions()[0].GetResume() != nil || first.GetClusterId() != "" {
			t.Errorf("began with %v", first)
		}
		resume := (<-f.watches).GetSubscriptions()[0].GetResume()
		if resume.GetRevision() != 3 || resume.GetEpoch() != fakeEpoch || resume.GetViewId() != fakeView {
			t.Errorf("went on with %v", resume)
		}
		if !strings.Contains(shown, "silent for 25s; trying again") {
			t.Errorf("shown:\n%s", shown)
		}
	})
}

func TestWatchBeginsAnewWhenTheSetIsNotTheServers(t *testing.T) {
	broken := emptySnapshot(func(h *musterv1.ViewHeader) { h.Count = 1 })
	for name, script := range map[string]func(grpc.ServerStreamingServer[musterv1.WatchResponse]) error{
		"digest": sends(nil, opened(), emptySnapshot(), broken),
		"epoch":  sends(refusal(musterv1.ErrorReason_ERROR_REASON_EPOCH_BEHIND), opened(), emptySnapshot()),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, shown, _ := watchFake(t, 10*time.Second, script, sends(nil, opened(), emptySnapshot()))
				if len(f.watches) != 2 {
					t.Fatalf("%d streams:\n%s", len(f.watches), shown)
				}
				<-f.watches
				if second := <-f.watches; second.GetSubscriptions()[0].GetResume() != nil || second.GetClusterId() != "cluster" {
					t.Errorf("went on with %v", second)
				}
			})
		})
	}
}

func TestWatchGivesUpWhatIsRefused(t *testing.T) {
	refused := opened()
	refused.GetOpened().Subscriptions[0] = &musterv1.OpenedSubscription{SubscriptionId: 1, Refusal: &musterv1.Refusal{
		Reason: musterv1.ErrorReason_ERROR_REASON_FORBIDDEN, Message: "not for you",
	}}
	tests := []struct {
		name   string
		script func(grpc.ServerStreamingServer[musterv1.WatchResponse]) error
		exit   int
		says   string
	}{
		{"at once", sends(refusal(musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT)), exitUsage, "no [INVALID_ARGUMENT]"},
		{"later", sends(refusal(musterv1.ErrorReason_ERROR_REASON_FORBIDDEN), opened(), emptySnapshot()), exitRefused, "no [FORBIDDEN]"},
		{"every subscription", sends(nil, refused), exitRefused, "shop/pay: refused: not for you [FORBIDDEN]"},
		{"no server at first", sends(refusal(musterv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN)), exitUnavailable, "no [SHUTTING_DOWN]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, shown, exit := watchFake(t, time.Minute, tt.script)
				if len(f.watches) != 1 || exit != tt.exit || !strings.Contains(shown, tt.says) {
					t.Errorf("%d streams, exit code %d:\n%s", len(f.watches), exit, shown)
				}
			})
		})
	}
}

func TestWatchAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asks := emptySnapshot(func(h *musterv1.ViewHeader) { h.AckRequest = &musterv1.AckRequest{AckSpreadMs: 100} })
		f, shown, _ := watchFake(t, time.Second, sends(nil, opened(), emptySnapshot(), asks))
		if len(f.acks) != 1 {
			t.Fatalf("%d acknowledgements:\n%s", len(f.acks), shown)
		}
		if a := <-f.acks; a.GetStreamId() != "stream" || a.GetRevision() != 3 || a.GetEpoch() != fakeEpoch || len(a.GetViewIds()) != 1 || a.GetViewIds()[0] != fakeView {
			t.Errorf("acknowledged %v", a)
		}
	})
}
