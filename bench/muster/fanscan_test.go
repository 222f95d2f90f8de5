package muster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func frameOf(t *testing.T, position musterv1.ChunkPosition, weights ...uint32) []byte {
	t.Helper()
	d := &musterv1.Delta{
		Header: &musterv1.ViewHeader{ViewId: 9, Epoch: 7, Revision: 30, Digest: 5, Count: 3, ServerUptimeMs: 1500},
		Chunk:  &musterv1.Chunk{Index: 1, Position: position}, FromRevision: 20,
	}
	for i, w := range weights {
		in := payload.Instance("s", uint64(i))
		in.Weight, in.ModifyTime = proto.Uint32(w), timestamppb.New(time.Unix(100, int64(7-i)))
		d.Instances = append(d.Instances, in)
	}
	return encode(t, &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Delta{Delta: d}})
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestScan(t *testing.T) {
	header := &musterv1.ViewHeader{Revision: 12, ServerUptimeMs: 3}
	final := &musterv1.Chunk{Position: musterv1.ChunkPosition_CHUNK_POSITION_FINAL}
	for _, test := range []struct {
		name    string
		message []byte
		want    fan.Frame
	}{
		{
			"opened", encode(t, &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Opened{Opened: &musterv1.Opened{Epoch: 7}}}),
			fan.Frame{Setup: true},
		},
		{
			"progress", encode(t, &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Progress{Progress: &musterv1.Progress{Header: header}}}),
			fan.Frame{Setup: true},
		},
		{
			"snapshot", encode(t, &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Snapshot{Snapshot: &musterv1.Snapshot{
				Header: header, Chunk: final, Instances: []*musterv1.Instance{payload.Instance("s", 1)},
			}}}),
			fan.Frame{Setup: true, Complete: true, From: 12, To: 12, UptimeMs: 3, Stamps: []uint32{}},
		},
		{
			"delta", frameOf(t, musterv1.ChunkPosition_CHUNK_POSITION_FINAL, 3, 1_000_000),
			fan.Frame{Complete: true, From: 20, To: 30, UptimeMs: 1500, Oldest: 100e9 + 6, Stamps: []uint32{3, 1_000_000}},
		},
		{
			"part of a delta", frameOf(t, musterv1.ChunkPosition_CHUNK_POSITION_PARTIAL, 3),
			fan.Frame{From: 20, To: 30, UptimeMs: 1500, Oldest: 100e9 + 7, Stamps: []uint32{3}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, got := &scanner{waiting: 1, frames: raw.CheckEvery - 1}, fan.Frame{}
			if err := s.scan(test.message, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestScanRefusesWhatIsBroken(t *testing.T) {
	whole := frameOf(t, musterv1.ChunkPosition_CHUNK_POSITION_FINAL, 3, 4)
	for n := range whole {
		s := &scanner{waiting: 1}
		if err := s.scan(whole[:n], &fan.Frame{}); err == nil {
			t.Errorf("a frame cut to %d of %d bytes was taken", n, len(whole))
		}
	}
}

func TestCompareFindsDifferences(t *testing.T) {
	whole := frameOf(t, musterv1.ChunkPosition_CHUNK_POSITION_FINAL, 3, 4)
	for _, f := range []fan.Frame{
		{From: 19, To: 30, Stamps: []uint32{3, 4}},
		{From: 20, To: 31, Stamps: []uint32{3, 4}},
		{From: 20, To: 30, Stamps: []uint32{3}},
		{From: 20, To: 30, Stamps: []uint32{3, 5}},
	} {
		if err := compare(whole, &f); err == nil {
			t.Errorf("%+v was not told from the frame", f)
		}
	}
}
