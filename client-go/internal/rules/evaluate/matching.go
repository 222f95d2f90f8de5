package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type matchingInput struct {
	Names struct {
		Services  []string `json:"services"`
		Namespace string   `json:"namespace"`
		Prefix    string   `json:"prefix"`
	} `json:"names"`
	Filter struct {
		VersionRange string `json:"version_range"`
		Metadata     []struct {
			Key    string   `json:"key"`
			Values []string `json:"values"`
		} `json:"metadata"`
		Capabilities  []string `json:"capabilities"`
		Shard         *wanted  `json:"shard"`
		Healths       []string `json:"healths"`
		Lifecycles    []string `json:"lifecycles"`
		Regions       []string `json:"regions"`
		Zones         []string `json:"zones"`
		InstanceIDs   []string `json:"instance_ids"`
		EndpointNames []string `json:"endpoint_names"`
	} `json:"filter"`
	Instance struct {
		Namespace     string            `json:"namespace"`
		Service       string            `json:"service"`
		InstanceID    string            `json:"instance_id"`
		Version       string            `json:"version"`
		Region        string            `json:"region"`
		Zone          string            `json:"zone"`
		Health        string            `json:"health"`
		Lifecycle     string            `json:"lifecycle"`
		Metadata      map[string]string `json:"metadata"`
		Capabilities  []string          `json:"capabilities"`
		Shard         *served           `json:"shard"`
		EndpointNames []string          `json:"endpoint_names"`
	} `json:"instance"`
}

type wanted struct {
	ByID bool     `json:"by_id"`
	ID   uint32   `json:"id"`
	Key  hexBytes `json:"key"`
}

type served struct {
	ByID  bool     `json:"by_id"`
	IDs   []uint32 `json:"ids"`
	Start hexBytes `json:"start"`
	End   hexBytes `json:"end"`
}

type matchingOutput struct {
	Selected bool `json:"selected"`
	Passes   bool `json:"passes"`
}

var matching = rule(func(in matchingInput) matchingOutput {
	f, i := in.Filter, in.Instance
	filter := rules.MatchFilter{
		VersionRange: f.VersionRange, Capabilities: f.Capabilities, Healths: f.Healths, Lifecycles: f.Lifecycles,
		Regions: f.Regions, Zones: f.Zones, IDs: f.InstanceIDs, Endpoints: f.EndpointNames,
	}
	for _, m := range f.Metadata {
		filter.Metadata = append(filter.Metadata, rules.MetadataCondition{Key: m.Key, Values: m.Values})
	}
	if f.Shard != nil {
		filter.Shard = &rules.ShardWanted{ByID: f.Shard.ByID, ID: f.Shard.ID, Key: f.Shard.Key}
	}
	candidate := rules.MatchCandidate{
		ID: i.InstanceID, Version: i.Version, Region: i.Region, Zone: i.Zone, Health: i.Health, Lifecycle: i.Lifecycle,
		Metadata: i.Metadata, Capabilities: i.Capabilities, Endpoints: i.EndpointNames,
	}
	if i.Shard != nil {
		candidate.Shard = &rules.ShardServed{ByID: i.Shard.ByID, IDs: i.Shard.IDs, Start: i.Shard.Start, End: i.Shard.End}
	}
	names := rules.MatchNames{Services: in.Names.Services, Namespace: in.Names.Namespace, Prefix: in.Names.Prefix}
	return matchingOutput{names.Match(i.Namespace, i.Service), filter.Match(&candidate)}
})
