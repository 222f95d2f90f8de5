package record

import (
	"iter"

	"google.golang.org/protobuf/encoding/protowire"
)

// LeaseInstances reads the keys of the instances that a lease holds, without
// decoding the rest; none if that is no lease.
func LeaseInstances(value []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		wanted := true
		_ = scan(value, func(num protowire.Number, b []byte, _ uint64) {
			if num == leaseInstances && wanted {
				wanted = yield(string(b))
			}
		})
	}
}
