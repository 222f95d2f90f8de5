package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type planInput struct {
	Candidates []struct {
		Key        slotKey `json:"key"`
		Weight     uint32  `json:"weight"`
		Lifecycle  string  `json:"lifecycle"`
		Health     string  `json:"health"`
		Version    string  `json:"version"`
		Region     string  `json:"region"`
		Zone       string  `json:"zone"`
		Generation uint64  `json:"generation,string"`
		Ejected    bool    `json:"ejected"`
	} `json:"candidates"`
	Policy struct {
		VersionShares []struct {
			Range string `json:"range"`
			Share uint32 `json:"share"`
		} `json:"version_shares"`
		LocalityRule   string  `json:"locality_rule"`
		SubsetSize     uint32  `json:"subset_size"`
		PanicThreshold *uint32 `json:"panic_threshold"`
	} `json:"policy"`
	Self struct {
		Region   string `json:"region"`
		Zone     string `json:"zone"`
		ClientID uint64 `json:"client_id,string"`
	} `json:"self"`
}

type planOutput struct {
	Slots     []planSlot  `json:"slots"`
	Why       []rules.Why `json:"why"`
	Panicking bool        `json:"panicking"`
	Healthy   int         `json:"healthy"`
	Total     int         `json:"total"`
}

type planSlot struct {
	Key        slotKey `json:"key"`
	Weight     uint64  `json:"weight,string"`
	Connect    bool    `json:"connect"`
	Generation uint64  `json:"generation,string"`
}

var plan = rule(func(in planInput) planOutput {
	candidates := make([]rules.Candidate, len(in.Candidates))
	for i, c := range in.Candidates {
		candidates[i] = rules.Candidate{
			Key: rules.SlotKey(c.Key), Weight: c.Weight, Lifecycle: c.Lifecycle, Health: c.Health,
			Version: c.Version, Region: c.Region, Zone: c.Zone, Generation: c.Generation, Ejected: c.Ejected,
		}
	}
	policy := rules.Policy{
		LocalityRule: in.Policy.LocalityRule, SubsetSize: in.Policy.SubsetSize, PanicThreshold: in.Policy.PanicThreshold,
	}
	for _, s := range in.Policy.VersionShares {
		policy.VersionShares = append(policy.VersionShares, rules.VersionShare(s))
	}
	p := rules.PlanOf(candidates, policy, rules.Self(in.Self))
	out := planOutput{Slots: []planSlot{}, Why: p.Why, Panicking: p.Panicking, Healthy: p.Healthy, Total: p.Total}
	for _, s := range p.Slots {
		out.Slots = append(out.Slots, planSlot{slotKey(s.Key), s.Weight, s.Connect, s.Generation})
	}
	return out
})
