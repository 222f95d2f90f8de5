package main

import "fmt"

// uniformFile is a file about one rule of docs/client-spec.md.
type uniformFile struct {
	About string        `json:"about"`
	Rule  string        `json:"rule"`
	Cases []uniformCase `json:"cases"`
}

type uniformCase struct {
	Name   string         `json:"name"`
	Input  map[string]any `json:"input"`
	Output map[string]any `json:"output"`
}

func (v backoffVectors) uniform() uniformFile {
	file := uniformFile{v.About, "backoff", nil}
	for i, c := range v.Cases {
		// The end of a stream goes along in turns; it does not concern the delay.
		delivered, lived := i%2 == 0, []int64{10_000, 9_999, 0, 3_600_000, -1}[i%5]
		after := c.Attempt
		if delivered && lived >= 10_000 {
			after = 0
		}
		file.Cases = append(file.Cases, uniformCase{
			fmt.Sprintf("%d failures, cap %d, word %s", c.Attempt, c.CapMs, c.Word),
			map[string]any{"failures": c.Attempt, "cap_ms": c.CapMs, "word": c.Word, "delivered": delivered, "lived_ms": lived},
			map[string]any{"delay_ms": c.DelayMs, "failures_after_stream": after},
		})
	}
	return file
}

func (v keepaliveVectors) uniform() uniformFile {
	file := uniformFile{v.About, "keepalive", nil}
	for _, c := range v.Cases {
		file.Cases = append(file.Cases, uniformCase{
			fmt.Sprintf("TTL %d, word %s", c.TTLMs, c.Word),
			map[string]any{"ttl_ms": c.TTLMs, "word": c.Word},
			map[string]any{"due_ms": c.DueMs, "answer_within_ms": c.TTLMs / 3, "backoff_cap_ms": min(c.TTLMs/3, 5000)},
		})
	}
	return file
}

func (v freshnessVectors) uniform() uniformFile {
	file := uniformFile{v.About, "freshness", nil}
	for _, c := range v.Cases {
		frames, ages, moments, then := []any{}, []int64{}, []int64{}, []any{}
		for _, f := range c.Frames {
			frames = append(frames, map[string]any{
				"received_ms": f.ReceivedMs, "server_uptime_ms": fmt.Sprint(f.ServerUptimeMs), "data_age_ms": fmt.Sprint(f.DataAgeMs),
			})
			ages = append(ages, f.AgeMs)
		}
		for _, t := range c.Then {
			moments = append(moments, t.NowMs)
			ends := map[string]int64{"FRESH": c.FreshForMs, "STALE": c.StaleForMs, "EXPIRED": -1}[t.Freshness]
			then = append(then, map[string]any{"age_ms": t.AgeMs, "freshness": t.Freshness, "ends_ms": ends})
		}
		file.Cases = append(file.Cases, uniformCase{
			c.Name,
			map[string]any{"fresh_for_ms": c.FreshForMs, "stale_for_ms": c.StaleForMs, "doubtful": c.Doubtful, "frames": frames, "then_ms": moments},
			map[string]any{"ages_ms": ages, "then": then},
		})
	}
	return file
}

func (v digestVectors) uniform() uniformFile {
	file := uniformFile{v.About, "digest", nil}
	for _, c := range v.Cases {
		entries, hashes := []any{}, []string{}
		for _, e := range c.Entries {
			entries = append(entries, map[string]any{
				"kind": e.Kind, "namespace": e.Namespace, "service": e.Service, "instance_id": e.InstanceID,
				"modify_revision": e.ModifyRevision, "tag": e.Tag,
			})
			hashes = append(hashes, e.Hash)
		}
		file.Cases = append(file.Cases, uniformCase{
			c.Name,
			map[string]any{"entries": entries},
			map[string]any{"hashes": hashes, "digest": c.Digest, "count": c.Count},
		})
	}
	return file
}
