package mustergrpc

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func TestExplainPickTellsOfEveryInstance(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("10.0.0.1:80")
		w.fleet.start("10.0.0.2:80")
		w.put("pay-1", "10.0.0.1:80", weighing(2))
		w.put("pay-2", "10.0.0.2:80")
		w.put("pay-3", "10.0.0.3:80", being(musterv1.Lifecycle_LIFECYCLE_STARTING))
		w.put("pay-4", "10.0.0.4:80", weighing(0))
		w.put("pay-5", "10.0.0.5:80", feeling(musterv1.Health_HEALTH_UNHEALTHY))
		w.put("pay-6", "10.0.0.6:80", in("us", "us-a"))
		for _, id := range []string{"pay-1", "pay-2", "pay-3", "pay-4", "pay-5"} {
			i := w.registry.Instances()["shop/pay/"+id]
			i.Locality = &musterv1.Locality{Region: "eu"}
			w.registry.Put(i)
		}
		conn := w.conn(t)
		settle()
		got := ExplainPick(conn)
		_, revision := w.registry.Position()
		want := &PickExplanation{
			Service: muster.ServiceName{Namespace: "shop", Service: "pay"}, Position: muster.Position{Epoch: 7, Revision: revision},
			Healthy: 2, Total: 3,
			Instances: []InstanceExplanation{
				{ID: "pay-1", Address: "10.0.0.1:80", Step: "PICKED", Weight: 2 << 16, State: "READY"},
				{ID: "pay-2", Address: "10.0.0.2:80", Step: "PICKED", Weight: 100 << 16, State: "READY"},
				{ID: "pay-3", Address: "10.0.0.3:80", Step: "STARTING"},
				{ID: "pay-4", Address: "10.0.0.4:80", Step: "WEIGHTLESS", State: "IDLE"},
				{ID: "pay-5", Address: "10.0.0.5:80", Step: "UNHEALTHY", State: "BACKOFF", Failure: "connection refused"},
				{ID: "pay-6", Address: "10.0.0.6:80", Step: "LOCALITY"},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("explanation (-want +got):\n%s", diff)
		}
		const line = "pay-5 10.0.0.5:80 UNHEALTHY weight=0 in_flight=0 BACKOFF (connection refused)"
		if !slices.Contains(strings.Split(got.String(), "\n"), line) {
			t.Errorf("no line %q in\n%s", line, got)
		}
		_ = conn.Close()
		if ExplainPick(conn) != nil {
			t.Error("a closed channel is explained")
		}
	}, muster.WithLocality("eu", ""))
}

func TestExplainPickOfAnotherChannelIsNil(t *testing.T) {
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if ExplainPick(conn) != nil {
		t.Error("it is explained")
	}
}
