package rules

// distance of an instance from the client. Unknown is near to nobody.
type distance uint8

const (
	sameZone distance = iota
	sameRegion
	elsewhere
)

// distanceOf compares where two run. A zone is within its region.
func distanceOf(c *Candidate, self Self) distance {
	switch {
	case c.Region != self.Region:
		return elsewhere
	case c.Zone == self.Zone && c.Zone != "":
		return sameZone
	case c.Region != "":
		return sameRegion
	default:
		return elsewhere
	}
}

// tiersOf are how far a rule looks, the nearest first.
func tiersOf(rule string) []distance {
	switch rule {
	case "ANY":
		return []distance{elsewhere}
	case "PREFER_REGION":
		return []distance{sameRegion, elsewhere}
	case "REQUIRE_REGION":
		return []distance{sameRegion}
	default:
		return []distance{sameZone, sameRegion, elsewhere}
	}
}

// nearest keeps the members within the nearest tier that has a healthy one and
// not too few of them, else those within the widest.
func nearest(candidates []Candidate, members []int, rule string, threshold uint32, self Self, why []Why) []int {
	tiers := tiersOf(rule)
	reach := tiers[len(tiers)-1]
	for _, tier := range tiers {
		healthy, total := 0, 0
		for _, i := range members {
			if distanceOf(&candidates[i], self) <= tier {
				total++
				if candidates[i].healthy() {
					healthy++
				}
			}
		}
		if healthy > 0 && !tooFew(healthy, total, threshold) {
			reach = tier
			break
		}
	}
	var kept []int
	for _, i := range members {
		if distanceOf(&candidates[i], self) <= reach {
			kept = append(kept, i)
		} else {
			why[i] = WhyLocality
		}
	}
	return kept
}
