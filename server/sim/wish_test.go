package sim

import (
	"math/rand/v2"
	"slices"
	"strings"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// services are the services of every world.
var services = []string{"cart", "cart-db", "pay", "user"}

// wish is a selector, with the model's own idea of what it matches.
type wish struct {
	services []string // nil: by prefix
	prefix   string
	minor    int    // 0: any; else version >= 1.minor.0
	zone     string // "": any
	tier     string // metadata "tier"; "": any
	serving  bool   // only SERVING
}

func randomWish(rng *rand.Rand) wish {
	var w wish
	if rng.IntN(3) == 0 {
		w.prefix = []string{"", "cart", "cart-", "nobody"}[rng.IntN(4)]
	} else {
		for _, s := range services {
			if rng.IntN(2) == 0 {
				w.services = append(w.services, s)
			}
		}
		if len(w.services) == 0 {
			w.services = []string{"pay"}
		}
	}
	if rng.IntN(2) == 0 {
		return w
	}
	w.minor = rng.IntN(3)
	w.zone = []string{"", "a"}[rng.IntN(2)]
	w.tier = []string{"", "gold"}[rng.IntN(2)]
	w.serving = rng.IntN(3) == 0
	return w
}

func (w wish) names(ns, svc string) bool {
	if ns != "shop" {
		return false
	}
	if w.services == nil {
		return strings.HasPrefix(svc, w.prefix)
	}
	return slices.Contains(w.services, svc)
}

func (w wish) passes(in *musterv1.Instance) bool {
	minor := int(in.GetVersion()[2] - '0')
	return minor >= w.minor &&
		(w.zone == "" || in.GetLocality().GetZone() == w.zone) &&
		(w.tier == "" || in.GetMetadata()["tier"] == w.tier) &&
		(!w.serving || in.GetLifecycle() == musterv1.Lifecycle_LIFECYCLE_SERVING)
}

func (w wish) selector() *musterv1.Selector {
	s := &musterv1.Selector{}
	if w.services == nil {
		s.Names = &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{Namespace: "shop", Prefix: w.prefix}}
	} else {
		list := &musterv1.ServiceNames{}
		for _, n := range w.services {
			list.Names = append(list.Names, &musterv1.ServiceName{Namespace: "shop", Service: n})
		}
		s.Names = &musterv1.Selector_Services{Services: list}
	}
	f := &musterv1.InstanceFilter{}
	if w.minor > 0 {
		f.VersionRange = ">=1." + string(rune('0'+w.minor)) + ".0"
	}
	if w.zone != "" {
		f.Zones = []string{w.zone}
	}
	if w.tier != "" {
		f.Metadata = []*musterv1.MetadataMatch{{Key: "tier", Values: []string{w.tier}}}
	}
	if w.serving {
		f.Lifecycles = []musterv1.Lifecycle{musterv1.Lifecycle_LIFECYCLE_SERVING}
	}
	if f.GetVersionRange() != "" || f.Zones != nil || f.Metadata != nil || f.Lifecycles != nil {
		s.Filter = f
	}
	return s
}
