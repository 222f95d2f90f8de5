package rpc

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/registry"
)

func TestGrantsAreWhatTheEncoderMakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := registry.Granted{
			LeaseID: rapid.StringMatching("[0-9a-f]{32}").Draw(t, "lease"), Incarnation: rapid.Uint64().Draw(t, "incarnation"),
			Epoch: rapid.Uint64().Draw(t, "epoch"), TTL: time.Duration(rapid.Int64Range(1, 3_600_000).Draw(t, "ttl")) * time.Millisecond,
		}
		cluster := rapid.StringMatching("[0-9a-f]{32}").Draw(t, "cluster")
		got := appendGranted(nil, &g, cluster)
		want, err := proto.Marshal(&musterv1.RegisterResponse{
			Lease:     &musterv1.Lease{LeaseId: g.LeaseID, Incarnation: g.Incarnation, Epoch: g.Epoch, Ttl: durationpb.New(g.TTL)},
			ClusterId: cluster, Epoch: g.Epoch, Revision: g.Incarnation,
		})
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%x, want %x (%v)", got, want, err)
		}
	})
}
