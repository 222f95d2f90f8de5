package etcd

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/raw"
)

func TestFanScan(t *testing.T) {
	header := &etcdserverpb.ResponseHeader{ClusterId: 3, Revision: 40}
	events := func(revisions ...int64) (all []*mvccpb.Event) {
		for _, r := range revisions {
			value := binary.LittleEndian.AppendUint32([]byte("value"), uint32(r*10))
			all = append(all, &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: []byte("k"), CreateRevision: 2, ModRevision: r, Value: value}})
		}
		return all
	}
	for _, test := range []struct {
		name     string
		response *etcdserverpb.WatchResponse
		want     fan.Frame
	}{
		{"created", &etcdserverpb.WatchResponse{Header: header, Created: true}, fan.Frame{Setup: true, Complete: true, From: 40, To: 40}},
		{"one event", &etcdserverpb.WatchResponse{Header: header, Events: events(40)}, fan.Frame{Complete: true, From: 39, To: 40, Stamps: []uint32{400}}},
		{"three events", &etcdserverpb.WatchResponse{Header: header, Events: events(38, 39, 40)}, fan.Frame{Complete: true, From: 37, To: 40, Stamps: []uint32{380, 390, 400}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			message, err := proto.Marshal(test.response)
			if err != nil {
				t.Fatal(err)
			}
			var s fanScanner
			s.frames.Store(raw.CheckEvery - 1) // decode this one
			var got fan.Frame
			if err := s.scan(message, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	canceled, err := proto.Marshal(&etcdserverpb.WatchResponse{Header: header, Canceled: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := (&fanScanner{}).scan(canceled, &fan.Frame{}); err == nil {
		t.Error("a canceled watch was not noticed")
	}
}
