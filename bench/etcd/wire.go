package etcd

import "google.golang.org/protobuf/encoding/protowire"

// Requests are encoded by hand, for all drivers alike: the client shares the
// machine's cores with the server, and is not what is compared. The numbers
// are the fields of etcd's rpc.proto; a test decodes them with its own types.

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendString(b []byte, num protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendInt(b []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

// grantRequest asks for a lease of ttl seconds whose id the client chose, so
// that it need not read the answer.
func grantRequest(id, ttl int64) []byte { return appendInt(appendInt(nil, 1, ttl), 2, id) }

// putRequest writes a key that lives as long as the lease.
func putRequest(key string, value []byte, lease int64) []byte {
	b := make([]byte, 0, len(key)+len(value)+24)
	return appendInt(appendBytes(appendString(b, 1, key), 2, value), 3, lease)
}

// txnRequest does puts, all or nothing.
func txnRequest(puts [][]byte) []byte {
	var b []byte
	for _, p := range puts {
		b = appendBytes(b, 2, appendBytes(nil, 2, p))
	}
	return b
}

// rangeRequest reads all keys with a prefix.
func rangeRequest(prefix string) []byte {
	return appendString(appendString(nil, 1, prefix), 2, prefixEnd(prefix))
}

// countRequest counts them.
func countRequest(prefix string) []byte { return appendInt(rangeRequest(prefix), 9, 1) }

// keepAliveRequest renews a lease.
func keepAliveRequest(id int64) []byte { return appendInt(nil, 1, id) }

// watchRequest watches all keys with a prefix.
func watchRequest(prefix string) []byte { return appendBytes(nil, 1, rangeRequest(prefix)) }

// prefixEnd is the first key after all those with the prefix, which must not
// end with byte 255.
func prefixEnd(prefix string) string {
	b := []byte(prefix)
	b[len(b)-1]++
	return string(b)
}
