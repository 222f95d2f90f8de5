package section

import (
	"context"
	"errors"
	"time"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/limit"
	"github.com/muster-registry/muster/bench/load"
	"github.com/muster-registry/muster/bench/muster"
)

const (
	// manyServices is how many services one stream watches, of manyAll.
	manyServices, manyAll = 200, 1000
	// manyInstances is how many instances each has.
	manyInstances = 2
)

// ManyWatch measures what a further service costs on a stream that watches
// some already: the server's memory with streams that watch 200 services each,
// beside as many that watch one.
func ManyWatch(ctx context.Context, r *Run) error {
	streams := Pick(r, 100, 500)
	for range min(r.fanReps(), 2) {
		one, err := r.memoryOfStreams(ctx, streams, 1)
		if err != nil {
			return err
		}
		many, err := r.memoryOfStreams(ctx, streams, manyServices)
		if err != nil {
			return err
		}
		if one == 0 && many == 0 {
			return nil
		}
		further := float64(many-one) / float64(streams*(manyServices-1)) / 1024
		r.Sample("manywatch_kb", further)
		r.Sample("manywatch_stream_kb", float64(one)/float64(streams)/1024)
		r.Logf("%d streams: %d KiB with a service each, %d KiB with %d: %.2f KiB for each further one",
			streams, one>>10, many>>10, manyServices, further)
	}
	r.Medians("manywatch_kb", "manywatch_stream_kb")
	r.Report.Note("manywatch: resident memory after %d streams with 200 subscriptions each, beside as many with one; "+
		"what the heap holds for the collector is in it", streams)
	return nil
}

// memoryOfStreams is how much a server's resident memory grows with streams
// that watch some services each.
func (r *Run) memoryOfStreams(ctx context.Context, streams, services int) (grown int64, err error) {
	s, err := r.stage(ctx, "muster", fanConns, limit.FanSizes{})
	if s == nil || err != nil {
		return 0, err
	}
	defer func() { err = s.explain(errors.Join(err, s.Close())) }()
	d := s.driver.(*muster.Fan)
	if err = d.Fill(ctx, manyAll, manyInstances); err != nil {
		return 0, err
	}
	before, err := r.settledMemory(ctx, s)
	if err != nil {
		return 0, err
	}
	err = load.Each(ctx, openers, streams, func(ctx context.Context, _, i int) error {
		watched := make([]int, services)
		for k := range watched {
			watched[k] = (i*7 + k*(manyAll/manyServices)) % manyAll
		}
		return d.WatchMany(ctx, i, watched, func(*fan.Frame) {})
	})
	if err != nil {
		return 0, err
	}
	after, err := r.settledMemory(ctx, s)
	return after - before, errors.Join(err, d.Err())
}

// settledMemory is the server's resident memory after a short rest.
func (r *Run) settledMemory(ctx context.Context, s *stage) (int64, error) {
	if err := pause(ctx, Pick(r, 300*time.Millisecond, 2*time.Second)); err != nil {
		return 0, err
	}
	return s.Process().RSS()
}
