package main

import "strings"

type digestVectors struct {
	About string       `json:"about"`
	Cases []digestCase `json:"cases"`
}

type digestCase struct {
	Name    string        `json:"name"`
	Entries []digestEntry `json:"entries"`
	Digest  string        `json:"digest"`
	Count   string        `json:"count"`
}

type digestEntry struct {
	Kind           byte   `json:"kind"`
	Namespace      string `json:"namespace"`
	Service        string `json:"service"`
	InstanceID     string `json:"instance_id"`
	ModifyRevision string `json:"modify_revision"`
	Tag            string `json:"tag"`
	Encoded        string `json:"encoded"`
	Hash           string `json:"hash"`
	hash           uint64
}

const (
	kindInstance = 1
	kindService  = 2
	maxUint64    = 1<<64 - 1
)

// encodeEntry writes what is hashed of an entry.
func encodeEntry(kind byte, namespace, service, id string, revision, tag uint64) []byte {
	buf := []byte{kind}
	buf = str(buf, namespace)
	buf = str(buf, service)
	buf = str(buf, id)
	buf = u64(buf, revision)
	return u64(buf, tag)
}

func entryOf(kind byte, namespace, service, id string, revision, tag uint64) digestEntry {
	encoded := encodeEntry(kind, namespace, service, id, revision, tag)
	hash := xxh64(encoded)
	return digestEntry{kind, namespace, service, id, decimal(revision), decimal(tag), hexOf(encoded), decimal(hash), hash}
}

func digestOf(name string, entries ...digestEntry) digestCase {
	sum := uint64(0)
	for _, e := range entries {
		sum += e.hash
	}
	if entries == nil {
		entries = []digestEntry{}
	}
	return digestCase{name, entries, decimal(sum), decimal(uint64(len(entries)))}
}

func digestFile() digestVectors {
	pay := entryOf(kindInstance, "shop", "pay", "pay-7", 812, 0x0123456789abcdef)
	state := entryOf(kindService, "shop", "pay", "", 811, 42)
	return digestVectors{
		About: "hash = XXH64 of encoded; digest = sum of the hashes modulo 2^64; count = number of entries. See docs/protocol.md, section 3.",
		Cases: []digestCase{
			digestOf("the empty set"),
			digestOf("one instance", pay),
			digestOf("a service state has an empty id", state),
			digestOf("an instance and the state of its service", pay, state),
			digestOf("order means nothing", state, pay),
			digestOf("a kind is part of the hash: an instance without id", entryOf(kindInstance, "shop", "pay", "", 811, 42)),
			digestOf("lengths keep namespace and service apart, one way", entryOf(kindInstance, "a", "bc", "d", 1, 1)),
			digestOf("lengths keep namespace and service apart, other way", entryOf(kindInstance, "ab", "c", "d", 1, 1)),
			digestOf("lengths keep service and id apart", entryOf(kindInstance, "a", "b", "cd", 1, 1)),
			digestOf("the tag tells two histories apart that reuse a revision", entryOf(kindInstance, "shop", "pay", "pay-7", 812, 0x0123456789abcdee)),
			digestOf("revision and tag do not swap", entryOf(kindInstance, "shop", "pay", "pay-7", 0x0123456789abcdef, 812)),
			digestOf("two instances that swap revisions, before",
				entryOf(kindInstance, "shop", "pay", "a", 5, 1), entryOf(kindInstance, "shop", "pay", "b", 6, 2)),
			digestOf("two instances that swap revisions, after",
				entryOf(kindInstance, "shop", "pay", "a", 6, 1), entryOf(kindInstance, "shop", "pay", "b", 5, 2)),
			digestOf("one id in two services",
				entryOf(kindInstance, "shop", "pay", "1", 3, 9), entryOf(kindInstance, "shop", "cart", "1", 3, 9)),
			digestOf("lengths count bytes, not characters", entryOf(kindInstance, "é", "日本", "💳", 1, 1)),
			digestOf("an imported instance", entryOf(kindInstance, "shop", "pay", "pay-7@eu-west", 900, 77)),
			digestOf("the longest names", entryOf(kindInstance, strings.Repeat("n", 63), strings.Repeat("s", 63), strings.Repeat("i", 128), maxUint64, maxUint64)),
			digestOf("the sum wraps", manyEntries(5)...),
		},
	}
}

func manyEntries(n uint64) []digestEntry {
	var list []digestEntry
	for i := range n {
		list = append(list, entryOf(kindInstance, "shop", "cart", "cart-"+decimal(i), 100+i, 0x9e3779b97f4a7c15*(i+1)))
	}
	return list
}
