package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	muster "github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/mustergrpc"
	greeterv1 "github.com/muster-registry/muster/examples/go/gen/greeter/v1"
	"github.com/muster-registry/muster/examples/go/internal/jsonl"
)

// totals counts calls between two sums.
type totals struct {
	mu         sync.Mutex
	ok, failed uint64
	byInstance map[string]uint64
}

func newTotals() *totals { return &totals{byInstance: map[string]uint64{}} }

// take returns the counts and begins anew.
func (t *totals) take() (ok, failed uint64, byInstance map[string]uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ok, failed, byInstance = t.ok, t.failed, t.byInstance
	t.ok, t.failed, t.byInstance = 0, 0, map[string]uint64{}
	return ok, failed, byInstance
}

func (t *totals) answered(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ok++
	t.byInstance[id]++
}

func (t *totals) fail() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed++
}

// call is one worker: it calls at its share of the rate until ctx ends. A call
// in flight then still gets its answer.
func call(ctx context.Context, greeter greeterv1.GreeterServiceClient, c config, totals *totals) {
	ticks := time.NewTicker(time.Second * time.Duration(c.workers) / time.Duration(c.rate))
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		callCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		id, err := greet(callCtx, greeter, c)
		cancel()
		if err == nil {
			totals.answered(id)
			continue
		}
		totals.fail()
		tellFailed(err)
	}
}

// greet makes one call and returns who answered it.
func greet(ctx context.Context, greeter greeterv1.GreeterServiceClient, c config) (string, error) {
	if c.greetings == 0 {
		answer, err := greeter.Greet(ctx, &greeterv1.GreetRequest{Name: c.name})
		return answer.GetInstanceId(), err
	}
	stream, err := greeter.GreetMany(ctx, &greeterv1.GreetManyRequest{Name: c.name, Count: uint32(c.greetings)})
	if err != nil {
		return "", err
	}
	var id string
	for number := uint(0); ; number++ {
		answer, err := stream.Recv()
		switch {
		case err == nil:
			id = answer.GetInstanceId()
		case !errors.Is(err, io.EOF):
			return "", err
		case number != c.greetings:
			return "", status.Errorf(codes.DataLoss, "%d of %d greetings came", number, c.greetings)
		default:
			return id, nil
		}
	}
}

// tellFailed writes why a call failed.
func tellFailed(err error) {
	st := status.Convert(err)
	jsonl.Write(struct {
		jsonl.Header
		Code    string `json:"code"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}{jsonl.Now("failed"), code.Code(st.Code()).String(), string(mustergrpc.ReasonOf(err)), st.Message()})
}

// sums writes the counts at every interval and once at the end.
func sums(ctx context.Context, interval time.Duration, subscription *muster.Subscription, totals *totals) {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticks.C:
		}
		view := subscription.View()
		ok, failed, byInstance := totals.take()
		jsonl.Write(struct {
			jsonl.Header
			OK         uint64            `json:"ok"`
			Failed     uint64            `json:"failed"`
			ByInstance map[string]uint64 `json:"by_instance"`
			AgeMS      int64             `json:"age_ms"`
			Source     string            `json:"source"`
		}{jsonl.Now("calls"), ok, failed, byInstance, view.Age().Milliseconds(), view.Source().String()})
	}
}
