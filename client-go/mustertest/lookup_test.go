package mustertest

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func TestLookupShowsOwnWrites(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		client := r.Client()
		register(t, client, spec("a"))
		v, err := client.Lookup(t.Context(), muster.Service("shop", "pay"))
		if err != nil || !slices.Equal(idsOf(v.Instances()), []string{"a"}) {
			t.Fatalf("%v, %v", v, err)
		}
	})
}

func TestLookupAnswersUnchanged(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		r.Register(spec("a"))
		full, err := c.Lookup(t.Context(), &musterv1.LookupRequest{Selector: selectPay()})
		if err != nil || full.GetResult() != musterv1.LookupResult_LOOKUP_RESULT_FULL || len(full.GetInstances()) != 1 {
			t.Fatalf("%v, %v", full, err)
		}
		r.Register(muster.InstanceSpec{Namespace: "shop", Service: "cart", ID: "x"})
		same, err := c.Lookup(t.Context(), &musterv1.LookupRequest{Selector: selectPay(), Known: known(full.GetHeader())})
		if err != nil || same.GetResult() != musterv1.LookupResult_LOOKUP_RESULT_UNCHANGED || len(same.GetInstances()) != 0 {
			t.Errorf("%v, %v", same, err)
		}
		if same.GetHeader().GetRevision() <= full.GetHeader().GetRevision() {
			t.Errorf("revision %d after %d", same.GetHeader().GetRevision(), full.GetHeader().GetRevision())
		}
	})
}

func TestLookupAtAPositionWaitsForIt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		at := func(epoch, revision uint64) error {
			_, err := c.Lookup(t.Context(), &musterv1.LookupRequest{
				Selector: selectPay(), MinPosition: &musterv1.Position{Epoch: epoch, Revision: revision},
			})
			return err
		}
		mustReason(t, at(9, 1), "EPOCH_CHANGED")
		began := time.Now()
		mustReason(t, at(1, 100), "VIEW_BEHIND")
		if waited := time.Since(began); waited != readWait {
			t.Errorf("waited %v", waited)
		}
		time.AfterFunc(time.Second, func() { r.Register(spec("a")) })
		began = time.Now()
		mustReason(t, at(1, r.Position().Revision+1), "")
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestLookupRefusesWrongSelectors(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		many := selectPay()
		for range maxServicesPerSelector {
			many.GetServices().Names = append(many.GetServices().Names, many.GetServices().GetNames()[0])
		}
		for _, w := range []struct {
			selector *musterv1.Selector
			want     string
		}{{nil, "INVALID_ARGUMENT"}, {many, "LIMIT_EXCEEDED"}} {
			_, err := c.Lookup(t.Context(), &musterv1.LookupRequest{Selector: w.selector})
			mustReason(t, err, w.want)
		}
	})
}

func TestServicesAreListedByPages(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		for _, service := range []string{"pay", "cart", "payout", "user"} {
			r.Register(muster.InstanceSpec{Namespace: "shop", Service: service, ID: "a"})
		}
		r.Register(muster.InstanceSpec{Namespace: "ops", Service: "pay", ID: "a"})
		list := func(req *musterv1.ListServicesRequest) (names []string, next string) {
			res, err := c.ListServices(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range res.GetServices() {
				if s.GetInstances() != 1 || s.GetHealthy() != 1 {
					t.Errorf("%v", s)
				}
				names = append(names, s.GetState().GetNamespace()+"/"+s.GetState().GetService())
			}
			return names, res.GetNextPageToken()
		}
		var all []string
		token := ""
		for pages := 1; ; pages++ {
			names, next := list(&musterv1.ListServicesRequest{PageSize: 2, PageToken: token})
			all = append(all, names...)
			if token = next; token == "" {
				if pages != 3 {
					t.Errorf("%d pages", pages)
				}
				break
			}
		}
		if !slices.Equal(all, []string{"ops/pay", "shop/cart", "shop/pay", "shop/payout", "shop/user"}) {
			t.Errorf("%v", all)
		}
		if names, _ := list(&musterv1.ListServicesRequest{Namespace: "shop", Prefix: "pay"}); !slices.Equal(names, []string{"shop/pay", "shop/payout"}) {
			t.Errorf("%v", names)
		}
		_, err := c.ListServices(t.Context(), &musterv1.ListServicesRequest{PageToken: "!"})
		mustReason(t, err, "INVALID_ARGUMENT")
	})
}

func TestServerTellsWhatItServes(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "muster-protocol", "9")
		info, err := c.info.GetServerInfo(ctx, &musterv1.GetServerInfoRequest{})
		if err != nil || info.GetClusterId() != clusterID || len(info.GetFeatures()) != 14 {
			t.Errorf("%v, %v", info, err)
		}
		_, err = c.Lookup(ctx, &musterv1.LookupRequest{Selector: selectPay()})
		mustReason(t, err, "PROTOCOL_NOT_SERVED")
		_, err = c.ReportOutcomes(t.Context(), &musterv1.ReportOutcomesRequest{})
		mustReason(t, err, "FEATURE_NOT_SERVED")
	})
}
