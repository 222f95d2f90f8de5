package muster

import (
	"time"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// Freshness is how far a view can be trusted to be current.
type Freshness int

// How fresh views are. A view that is not FRESH is served all the same.
const (
	// Fresh views are younger than Config.FreshFor.
	Fresh Freshness = iota + 1
	// Stale views are older, or did not match their digest.
	Stale
	// Expired views are older than Config.StaleFor, or were never received.
	Expired
)

var freshnessNames = map[Freshness]string{Fresh: "FRESH", Stale: "STALE", Expired: "EXPIRED"}

// String is the name, such as "FRESH".
func (f Freshness) String() string { return freshnessNames[f] }

// freshnessOf judges an age, and tells when that ends: after how much more time;
// negative if never.
func (c *Config) freshnessOf(age time.Duration, doubtful bool) (f Freshness, ends time.Duration) {
	judged, endsMs := rules.FreshnessOf(age.Milliseconds(), c.FreshFor.Milliseconds(), c.StaleFor.Milliseconds(), doubtful)
	f = map[rules.Freshness]Freshness{rules.Fresh: Fresh, rules.Stale: Stale, rules.Expired: Expired}[judged]
	if endsMs < 0 {
		return f, -1
	}
	return f, time.Duration(endsMs)*time.Millisecond - age
}
