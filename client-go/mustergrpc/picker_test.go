package mustergrpc

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"google.golang.org/grpc/balancer"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// BenchmarkPick is the cost of a choice in a channel, with the count of calls
// in flight, by the number of its endpoints.
func BenchmarkPick(b *testing.B) {
	for _, slots := range []int{3, 100, 1000} {
		b.Run(fmt.Sprint(slots), func(b *testing.B) {
			p := pickerOf(slots)
			info := balancer.PickInfo{Ctx: context.WithValue(context.Background(), rpcKey{}, &rpc{})}
			b.ReportAllocs()
			for b.Loop() {
				result, err := p.Pick(info)
				if err != nil {
					b.Fatal(err)
				}
				result.Done(balancer.DoneInfo{})
			}
		})
	}
}

func pickerOf(slots int) *picker {
	owner := &viewBalancer{source: &source{logger: slog.New(slog.DiscardHandler), observe: func(muster.Event) {}}}
	p := &picker{balancer: owner, plan: &plan{}, states: make([]slotNow, slots)}
	states := make([]rules.SlotState, slots)
	for n := range slots {
		p.slots = append(p.slots, &slot{})
		states[n].Weight = 100 << 16
	}
	p.table, p.load = rules.UsableOf(states).Table, p.loadAt
	return p
}
