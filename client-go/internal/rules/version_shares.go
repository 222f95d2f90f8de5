package rules

// VersionShare gives a share of new calls to a range of versions.
type VersionShare struct {
	// Range of versions; one that cannot be read matches none.
	Range string
	// Share in basis points.
	Share uint32
}

// versionGroup is the candidates that split one share.
type versionGroup struct {
	// shared tells whether share counts: versions have shares.
	shared bool
	// share in basis points, at most the whole.
	share   uint64
	members []int
}

// splitByVersion groups the admitted by the first range that their versions
// match; the rest is the last group and has what the others leave. Groups
// without a share are left out, unless that would leave nobody: then versions
// do not matter.
func splitByVersion(candidates []Candidate, admitted []int, shares []VersionShare, why []Why) []*versionGroup {
	groups, taken := make([]*versionGroup, len(shares)+1), uint64(0)
	ranges := make([]Range, len(shares))
	readable := make([]bool, len(shares))
	for n, s := range shares {
		groups[n] = &versionGroup{shared: true, share: min(uint64(s.Share), wholeShare)}
		taken += groups[n].share
		r, err := ParseRange(s.Range)
		ranges[n], readable[n] = r, err == nil
	}
	rest := &versionGroup{shared: true, share: wholeShare - min(taken, wholeShare)}
	groups[len(shares)] = rest
	for _, i := range admitted {
		g := rest
		for n := range shares {
			if readable[n] && ranges[n].MatchText(candidates[i].Version) {
				g = groups[n]
				break
			}
		}
		g.members = append(g.members, i)
	}
	return withShares(groups, admitted, why)
}

// withShares leaves out the groups that have no share or no members.
func withShares(groups []*versionGroup, admitted []int, why []Why) []*versionGroup {
	var left []*versionGroup
	for _, g := range groups {
		if g.share > 0 && len(g.members) > 0 {
			left = append(left, g)
		}
	}
	if len(groups) == 1 || len(left) == 0 {
		return []*versionGroup{{members: admitted}}
	}
	for _, g := range groups {
		if g.share == 0 {
			for _, i := range g.members {
				why[i] = WhyVersionShare
			}
		}
	}
	return left
}
