package record

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Fields that a registration writes by hand. A test compares what comes of it
// with what the encoder makes.
const (
	fieldHealthSlots = 17
	fieldCreateTime  = 22
	fieldModifyTime  = 23

	fieldInstance = 1 // of InstanceRecord
	fieldLeaseID  = 2

	fieldTTL       = 2 // of LeaseRecord
	fieldInstances = 3
	fieldRequestID = 4
	fieldEpoch     = 5
)

// Registered is an instance that is being registered.
type Registered struct {
	// Body is the encoded muster.v1.Instance up to field 14: what its owner says
	// of it, but for self_health.
	Body    []byte
	LeaseID string

	Health                 musterv1.Health
	HealthSlots            []*musterv1.HealthSlot
	Tag                    uint64
	CreateTime, ModifyTime time.Time
}

// maxAdded is what Encode adds to body, slots and lease, about.
const maxAdded = 64

// Encode is the record's value in the store, the same as that of an Instance
// with all of this in it.
func (r *Registered) Encode() []byte {
	var room [maxAdded]byte
	added := appendVarint(room[:0], fieldHealth, uint64(r.Health))
	for _, s := range r.HealthSlots {
		added = appendBytes(added, fieldHealthSlots, mustMarshal(s))
	}
	added = protowire.AppendFixed64(protowire.AppendTag(added, fieldTag, protowire.Fixed64Type), r.Tag)
	added = appendTime(added, fieldCreateTime, r.CreateTime)
	added = appendTime(added, fieldModifyTime, r.ModifyTime)

	public := len(r.Body) + len(added)
	value := make([]byte, 0, 1+protowire.SizeBytes(public)+1+protowire.SizeBytes(len(r.LeaseID)))
	value = protowire.AppendTag(value, fieldInstance, protowire.BytesType)
	value = protowire.AppendVarint(value, uint64(public))
	value = append(append(value, r.Body...), added...)
	return appendString(value, fieldLeaseID, r.LeaseID)
}

// appendTime appends a Timestamp.
func appendTime(dst []byte, number protowire.Number, t time.Time) []byte {
	var room [24]byte
	b := room[:0]
	if s := t.Unix(); s != 0 {
		b = appendVarint(b, 1, uint64(s))
	}
	if n := t.Nanosecond(); n != 0 {
		b = appendVarint(b, 2, uint64(n))
	}
	return appendBytes(dst, number, b)
}

func appendBytes(dst []byte, number protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, number, protowire.BytesType), b)
}

func appendString(dst []byte, number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, number, protowire.BytesType), s)
}

// EncodeNewLease is the value of a lease without an owner, the same as that of
// EncodeLease.
func EncodeNewLease(ttlMS uint64, instances []string, requestID string, epoch uint64) []byte {
	size := 2*(1+protowire.SizeVarint(1<<63)) + 1 + protowire.SizeBytes(len(requestID))
	for _, key := range instances {
		size += 1 + protowire.SizeBytes(len(key))
	}
	value := make([]byte, 0, size)
	if ttlMS != 0 {
		value = appendVarint(value, fieldTTL, ttlMS)
	}
	for _, key := range instances {
		value = appendString(value, fieldInstances, key)
	}
	if requestID != "" {
		value = appendString(value, fieldRequestID, requestID)
	}
	if epoch != 0 {
		value = appendVarint(value, fieldEpoch, epoch)
	}
	return value
}
