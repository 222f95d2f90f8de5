package evaluate

import (
	"strconv"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

type entry struct {
	Kind           byte   `json:"kind"`
	Namespace      string `json:"namespace"`
	Service        string `json:"service"`
	InstanceID     string `json:"instance_id"`
	ModifyRevision uint64 `json:"modify_revision,string"`
	Tag            uint64 `json:"tag,string"`
}

type digestInput struct {
	Entries []entry `json:"entries"`
}

type digestOutput struct {
	Hashes []string `json:"hashes"`
	Digest uint64   `json:"digest,string"`
	Count  uint64   `json:"count,string"`
}

var digest = rule(func(in digestInput) digestOutput {
	out := digestOutput{Hashes: make([]string, len(in.Entries)), Count: uint64(len(in.Entries))}
	for i, e := range in.Entries {
		hash := rules.EntryHash(e.Kind, rules.EntryKey{Namespace: e.Namespace, Service: e.Service, ID: e.InstanceID}, e.ModifyRevision, e.Tag)
		out.Hashes[i] = strconv.FormatUint(hash, 10)
		out.Digest += hash
	}
	return out
})
