package mustertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/muster-registry/muster/client-go"
)

// TestClientsAgreeWithTheRegistry does anything in any order, and then looks
// whether clients hold what the registry does, without having been told
// anything that they could not verify.
func TestClientsAgreeWithTheRegistry(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *Registry) {
				random := rand.New(rand.NewPCG(seed, 0))
				owner, watching := r.Client(), r.Client()
				all := subscribe(t, watching)
				gold, err := watching.Subscribe(muster.Selector{
					Services: []muster.ServiceName{{Namespace: "shop", Service: "pay"}},
					Filter:   muster.Filter{Metadata: []muster.MetadataMatch{{Key: "tier", Values: []string{"gold"}}}},
				})
				if err != nil {
					t.Fatal(err)
				}
				own := register(t, owner, spec("own"))
				for range 200 {
					play(random, r, own)
				}
				r.Heal()
				time.Sleep(2 * time.Minute) // until recovery and backoff are over
				var want []string
				for _, i := range r.Instances("shop/pay") {
					if i.Metadata["tier"] == "gold" {
						want = append(want, i.ID)
					}
				}
				reach(t, gold, time.Second, want...)
				v := reach(t, all, time.Second, idsOf(r.Instances("shop/pay"))...)
				if !slices.Contains(idsOf(v.Instances()), "own") {
					t.Errorf("%v, without the one that is kept alive", idsOf(v.Instances()))
				}
				unharmed(t, watching)
			})
		})
	}
}

// play does one thing.
func play(random *rand.Rand, r *Registry, own *muster.Registration) {
	s := spec(string(rune('a' + random.IntN(6))))
	s.Metadata = map[string]string{"tier": []string{"gold", "iron"}[random.IntN(2)]}
	registered := slices.Contains(idsOf(r.Instances("shop/pay")), s.ID)
	switch n := random.IntN(100); {
	case n < 30:
		r.Register(s)
	case n < 45 && registered:
		r.Deregister("shop/pay/" + s.ID)
	case n < 50 && registered:
		r.Expire("shop/pay/" + s.ID)
	case n < 55 && registered:
		r.Drain("shop/pay/" + s.ID)
	case n < 60:
		own.SetWeight(random.Uint32N(1000))
	case n < 63:
		r.Compact()
	case n < 66:
		r.Cut()
	case n < 72:
		r.Heal()
	case n < 75:
		r.Restart()
	case n < 76:
		r.LoseHistory()
	default:
		time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
	}
}
