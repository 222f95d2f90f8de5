package muster

import (
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// TestCacheFilesAreThoseOfTheOtherClient reads what any client wrote, and
// writes the same again.
func TestCacheFilesAreThoseOfTheOtherClient(t *testing.T) {
	var file struct {
		Cases []struct {
			Name      string
			File      string
			Bytes     string
			NowMs     int64    `json:"now_ms"`
			AgeMs     int64    `json:"age_ms"`
			ClusterID string   `json:"cluster_id"`
			Instances []string `json:"instances"`
			Services  []string `json:"services"`
			Forbidden []string `json:"forbidden"`
		}
	}
	readVectors(t, "cache_view.json", &file)
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			bytes, err := hex.DecodeString(c.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			f, fault := rules.DecodeCacheFile(bytes)
			selector := cachedSelector()
			if name := cacheName(selector.key()); fault != "" || name != c.File {
				t.Fatalf("%q, file %s, want %s", fault, name, c.File)
			}
			client, err := New([]string{"a:1"})
			if err != nil {
				t.Fatal(err)
			}
			defer closeClient(t, client)
			d, err := diskViewOf(f, selector.key(), client.config.FreshFor, c.NowMs)
			if err != nil {
				t.Fatal(err)
			}
			v := newView(selector, &client.config, client.watcher.clock)
			d.show(v)
			got := [][]string{{d.clusterID}, nil, nil, nil}
			for _, i := range v.Instances() {
				got[1] = append(got[1], i.Key.String()+" "+i.Endpoints[0].Address+" "+i.Locality.Zone+" "+i.Health.String())
			}
			for _, s := range v.Services() {
				got[2] = append(got[2], s.String()+" "+s.Policy.LocalityRule.String())
			}
			for _, n := range v.Forbidden() {
				got[3] = append(got[3], n.String())
			}
			want := [][]string{{c.ClusterID}, c.Instances, c.Services, c.Forbidden}
			if diff := cmp.Diff(want, got); diff != "" || d.ageMs != c.AgeMs {
				t.Errorf("age %d, want %d (-want +got):\n%s", d.ageMs, c.AgeMs, diff)
			}
			again, err := v.cacheFile(selector.key(), d.clusterID, f.WrittenMs)
			again.AgeMs = f.AgeMs
			if err != nil || hex.EncodeToString(rules.EncodeCacheFile(again)) != c.Bytes {
				t.Errorf("%v: written again as\n%x", err, rules.EncodeCacheFile(again))
			}
		})
	}
}

// cachedSelector has what encoders may disagree on.
func cachedSelector() Selector {
	return Selector{
		Services: []ServiceName{{"shop", "secret"}, {"shop", "pay"}, {"shop", "pay"}},
		Filter: Filter{
			VersionRange: ">=1.0.0", Capabilities: []string{"b", "a"}, Zones: []string{"eu-1a", "eu-1b"},
			Metadata: []MetadataMatch{{"tier", []string{"silver", "gold"}}, {"any", nil}},
			Shard:    &ShardMatch{ID: 3}, Healths: []Health{Degraded, Healthy},
		},
	}
}
