package etcd

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

func TestRequestsAreEtcds(t *testing.T) {
	read := etcdserverpb.RangeRequest{Key: []byte("/a/"), RangeEnd: []byte("/a0")}
	count := etcdserverpb.RangeRequest{Key: read.Key, RangeEnd: read.RangeEnd, CountOnly: true}
	created := &etcdserverpb.WatchCreateRequest{Key: read.Key, RangeEnd: read.RangeEnd}
	tests := map[string]struct {
		encoded   []byte
		got, want proto.Message
	}{
		"grant": {grantRequest(7, 5), &etcdserverpb.LeaseGrantRequest{}, &etcdserverpb.LeaseGrantRequest{ID: 7, TTL: 5}},
		"put":   {putRequest("k", []byte("v"), 7), &etcdserverpb.PutRequest{}, &etcdserverpb.PutRequest{Key: []byte("k"), Value: []byte("v"), Lease: 7}},
		"txn": {txnRequest([][]byte{putRequest("k", []byte("v"), 7)}), &etcdserverpb.TxnRequest{}, &etcdserverpb.TxnRequest{
			Success: []*etcdserverpb.RequestOp{{Request: &etcdserverpb.RequestOp_RequestPut{
				RequestPut: &etcdserverpb.PutRequest{Key: []byte("k"), Value: []byte("v"), Lease: 7},
			}}},
		}},
		"range":     {rangeRequest("/a/"), &etcdserverpb.RangeRequest{}, &read},
		"count":     {countRequest("/a/"), &etcdserverpb.RangeRequest{}, &count},
		"keepalive": {keepAliveRequest(7), &etcdserverpb.LeaseKeepAliveRequest{}, &etcdserverpb.LeaseKeepAliveRequest{ID: 7}},
		"watch": {watchRequest("/a/"), &etcdserverpb.WatchRequest{}, &etcdserverpb.WatchRequest{
			RequestUnion: &etcdserverpb.WatchRequest_CreateRequest{CreateRequest: created},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := proto.Unmarshal(test.encoded, test.got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, test.got, protocmp.Transform()); d != "" {
				t.Error(d)
			}
		})
	}
}
