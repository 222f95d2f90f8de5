package record

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/internal/storepb"
)

// Field numbers of muster.v1.Instance that are read or added without decoding
// the whole. A test compares them with the contract.
const (
	fieldLifecycle      = 8
	fieldHealth         = 16
	fieldIncarnation    = 18
	fieldCreateRevision = 19
	fieldModifyRevision = 20
	fieldTag            = 21
)

// Instance is a stored instance.
type Instance struct {
	// Public is the encoded muster.v1.Instance, without what AppendWire adds.
	Public []byte
	// LeaseID is the lease that holds it.
	LeaseID string
	// DrainDeadlineMS is until when a drain waits; information only.
	DrainDeadlineMS int64
}

// Encode is the record's value in the store.
func (r Instance) Encode() []byte {
	return mustMarshal(&storepb.InstanceRecord{
		Instance: r.Public, LeaseId: r.LeaseID, DrainDeadlineMs: r.DrainDeadlineMS,
	})
}

// DecodeInstance reads a record. The result's Public shares memory with the
// value.
func DecodeInstance(value []byte) (Instance, error) {
	p, err := SplitInstance(value)
	return Instance{Public: p.Public, LeaseID: string(p.LeaseID), DrainDeadlineMS: p.DrainDeadlineMS}, err
}

// InstanceParts is an Instance whose parts all share memory with the value that
// it was read from.
type InstanceParts struct {
	Public, LeaseID []byte
	DrainDeadlineMS int64
}

// SplitInstance is DecodeInstance without copying anything.
func SplitInstance(value []byte) (InstanceParts, error) {
	var r InstanceParts
	err := scan(value, func(num protowire.Number, b []byte, v uint64) {
		switch num {
		case 1:
			r.Public = b
		case 2:
			r.LeaseID = b
		case 3:
			r.DrainDeadlineMS = int64(v)
		}
	})
	if err != nil {
		return InstanceParts{}, fmt.Errorf("instance record: %w", err)
	}
	return r, nil
}

// EncodePublic is the stored form of an instance: what its owner and the
// writing server know. Revisions are the store's and never inside.
func EncodePublic(in *musterv1.Instance) []byte {
	c := proto.CloneOf(in)
	c.Incarnation, c.CreateRevision, c.ModifyRevision = 0, 0, 0
	return mustMarshal(c)
}

// Facts are the fields of an instance that the registry itself looks at.
type Facts struct {
	Lifecycle musterv1.Lifecycle
	Health    musterv1.Health
	Tag       uint64
}

// ReadFacts reads them from the encoded form without decoding the rest.
func ReadFacts(public []byte) (Facts, error) {
	var f Facts
	err := scan(public, func(num protowire.Number, _ []byte, v uint64) {
		switch num {
		case fieldLifecycle:
			f.Lifecycle = musterv1.Lifecycle(v)
		case fieldHealth:
			f.Health = musterv1.Health(v)
		case fieldTag:
			f.Tag = v
		}
	})
	if err != nil {
		return Facts{}, fmt.Errorf("instance: %w", err)
	}
	return f, nil
}

// AppendWire appends the encoded instance as watchers get it: the stored form
// followed by what only the applier knows. Protobuf merges concatenated
// fields, so nothing needs decoding.
func AppendWire(dst, public []byte, incarnation, createRevision, modifyRevision uint64) []byte {
	dst = append(dst, public...)
	dst = appendVarint(dst, fieldIncarnation, incarnation)
	dst = appendVarint(dst, fieldCreateRevision, createRevision)
	return appendVarint(dst, fieldModifyRevision, modifyRevision)
}

// WireSize is how many bytes AppendWire appends.
func WireSize(public []byte, incarnation, createRevision, modifyRevision uint64) int {
	const tags = 3 * 2 // each of the three fields has a number above 15
	return len(public) + tags + protowire.SizeVarint(incarnation) +
		protowire.SizeVarint(createRevision) + protowire.SizeVarint(modifyRevision)
}

func appendVarint(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// scan calls f for each field of an encoded message, with its bytes or its
// number, whichever it has.
func scan(b []byte, f func(protowire.Number, []byte, uint64)) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var bytes []byte
		var v uint64
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		f(num, bytes, v)
	}
	return nil
}

// EncodeService is a service state's value in the store.
func EncodeService(s *musterv1.ServiceState) []byte {
	c := proto.CloneOf(s)
	c.CreateRevision, c.ModifyRevision = 0, 0
	return mustMarshal(c)
}

// DecodeService reads a service state and adds its revisions.
func DecodeService(value []byte, createRevision, modifyRevision uint64) (*musterv1.ServiceState, error) {
	s := &musterv1.ServiceState{}
	if err := proto.Unmarshal(value, s); err != nil {
		return nil, fmt.Errorf("service state: %w", err)
	}
	s.CreateRevision, s.ModifyRevision = createRevision, modifyRevision
	return s, nil
}

// Lease is a stored lease.
type Lease = storepb.LeaseRecord

// EncodeLease is a lease's value in the store.
func EncodeLease(l *Lease) []byte { return mustMarshal(l) }

// DecodeLease reads a lease.
func DecodeLease(value []byte) (*Lease, error) {
	l := &Lease{}
	if err := proto.Unmarshal(value, l); err != nil {
		return nil, fmt.Errorf("lease record: %w", err)
	}
	return l, nil
}

// Field numbers of a lease record.
const (
	leaseOwner     = 1
	leaseTTL       = 2
	leaseInstances = 3
	leaseRequest   = 4
)

// CheckLease tells whether DecodeLease can read a lease, at a tenth of the cost.
func CheckLease(value []byte) error {
	valid := true
	err := scan(value, func(num protowire.Number, b []byte, _ uint64) {
		switch num {
		case leaseOwner, leaseInstances, leaseRequest:
			valid = valid && utf8.Valid(b)
		default:
			valid = valid && num <= protowire.MaxValidNumber
		}
	})
	if err == nil && !valid {
		err = errors.New("a string in it is not UTF-8, or a field has no valid number")
	}
	if err != nil {
		return fmt.Errorf("lease record: %w", err)
	}
	return nil
}

// LeaseTTLMs reads a lease's time to live, in milliseconds, without decoding
// the rest; 0 if that is no lease.
func LeaseTTLMs(value []byte) (ms uint64) {
	for len(value) > 0 {
		num, typ, n := protowire.ConsumeTag(value)
		if n < 0 {
			return 0
		}
		value = value[n:]
		if num == leaseTTL && typ == protowire.VarintType {
			ms, n = protowire.ConsumeVarint(value)
		} else {
			n = protowire.ConsumeFieldValue(num, typ, value)
		}
		if n < 0 {
			return 0
		}
		value = value[n:]
	}
	return ms
}

// EncodeEpoch is the epoch's value in the store.
func EncodeEpoch(epoch uint64) []byte { return mustMarshal(&storepb.EpochRecord{Epoch: epoch}) }

// DecodeEpoch reads the epoch.
func DecodeEpoch(value []byte) (uint64, error) {
	e := &storepb.EpochRecord{}
	if err := proto.Unmarshal(value, e); err != nil {
		return 0, fmt.Errorf("epoch record: %w", err)
	}
	return e.GetEpoch(), nil
}

// Note explains the deletions of a commit.
type Note struct {
	Reason      musterv1.RemovalReason
	Keys        []string
	Actor       string
	Traceparent string
}

// Encode is the note as it travels with a mutation.
func (n Note) Encode() []byte {
	return mustMarshal(&storepb.RemovalNote{
		Reason: int32(n.Reason), Keys: n.Keys, Actor: n.Actor, Traceparent: n.Traceparent,
	})
}

// DecodeNote reads a note.
func DecodeNote(b []byte) (Note, error) {
	n := &storepb.RemovalNote{}
	if err := proto.Unmarshal(b, n); err != nil {
		return Note{}, fmt.Errorf("removal note: %w", err)
	}
	return Note{
		Reason: musterv1.RemovalReason(n.GetReason()), Keys: n.GetKeys(),
		Actor: n.GetActor(), Traceparent: n.GetTraceparent(),
	}, nil
}

// mustMarshal encodes a message whose strings were validated at the edge, so
// that encoding it cannot fail.
func mustMarshal(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic("record: " + err.Error())
	}
	return b
}
