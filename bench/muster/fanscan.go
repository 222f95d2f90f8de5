package muster

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/muster-registry/muster/bench/fan"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Numbers of the fields that the scan reads. A test compares them with the contract.
const (
	fieldSnapshot, fieldDelta = 2, 3

	fieldHeader, fieldChunk, fieldFrom, fieldInstances = 1, 2, 3, 4
	fieldRevision, fieldUptime                         = 3, 7
	fieldPosition                                      = 2
	fieldWeight, fieldModifyTime                       = 7, 23
	fieldSeconds, fieldNanos                           = 1, 2
)

// scanner reads the frames of one stream as far as needed.
type scanner struct {
	// waiting is how many views have not brought their state yet.
	waiting int
	frames  uint64
}

// scan implements fan.Scan.
func (s *scanner) scan(message []byte, f *fan.Frame) error {
	number, frame, err := only(message)
	if err != nil {
		return err
	}
	f.Setup = number != fieldDelta
	if number != fieldDelta && number != fieldSnapshot {
		return nil
	}
	if err := scanUpdate(frame, f); err != nil {
		return err
	}
	if f.Setup {
		f.From, f.Stamps = f.To, f.Stamps[:0]
		if f.Complete {
			s.waiting--
			f.Complete = s.waiting <= 0
		}
		return nil
	}
	if s.frames++; s.frames%oneIn == 0 {
		return compare(message, f)
	}
	return nil
}

func scanUpdate(b []byte, f *fan.Frame) error {
	return fields(b, func(n protowire.Number, v uint64, sub []byte) error {
		switch n {
		case fieldHeader:
			return fields(sub, func(n protowire.Number, v uint64, _ []byte) error {
				switch n {
				case fieldRevision:
					f.To = v
				case fieldUptime:
					f.UptimeMs = int64(v) //nolint:gosec // some days
				}
				return nil
			})
		case fieldChunk:
			return fields(sub, func(n protowire.Number, v uint64, _ []byte) error {
				if n == fieldPosition {
					f.Complete = v == uint64(musterv1.ChunkPosition_CHUNK_POSITION_FINAL)
				}
				return nil
			})
		case fieldFrom:
			f.From = v
		case fieldInstances:
			return scanInstance(sub, f)
		}
		return nil
	})
}

func scanInstance(b []byte, f *fan.Frame) error {
	return fields(b, func(n protowire.Number, v uint64, sub []byte) error {
		switch n {
		case fieldWeight:
			f.Stamps = append(f.Stamps, uint32(v)) //nolint:gosec // at most a million
		case fieldModifyTime:
			var written int64
			err := fields(sub, func(n protowire.Number, v uint64, _ []byte) error {
				switch n {
				case fieldSeconds:
					written += int64(v) * int64(time.Second) //nolint:gosec // a time of today
				case fieldNanos:
					written += int64(v) //nolint:gosec // below a second
				}
				return nil
			})
			if f.Oldest == 0 || written < f.Oldest {
				f.Oldest = written
			}
			return err
		}
		return nil
	})
}

// only is the one field of a message.
func only(message []byte) (number protowire.Number, body []byte, err error) {
	number, kind, n := protowire.ConsumeTag(message)
	if n >= 0 && kind == protowire.BytesType {
		body, m := protowire.ConsumeBytes(message[n:])
		if m >= 0 && n+m == len(message) {
			return number, body, nil
		}
	}
	return 0, nil, fmt.Errorf("a frame of %d bytes is not one field of bytes", len(message))
}

// fields calls f for each field of a message, with its number or its bytes.
func fields(b []byte, f func(n protowire.Number, v uint64, sub []byte) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v uint64
		var sub []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			sub, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := f(number, v, sub); err != nil {
			return err
		}
	}
	return nil
}

// compare decodes a frame wholly and tells if the scan found something else.
func compare(message []byte, f *fan.Frame) error {
	var response musterv1.WatchResponse
	if err := proto.Unmarshal(message, &response); err != nil {
		return fmt.Errorf("decode a frame: %w", err)
	}
	d := response.GetDelta()
	if d.GetFromRevision() != f.From || d.GetHeader().GetRevision() != f.To || len(d.GetInstances()) != len(f.Stamps) {
		return fmt.Errorf("a frame from %d to %d with %d instances was taken for one from %d to %d with %d",
			d.GetFromRevision(), d.GetHeader().GetRevision(), len(d.GetInstances()), f.From, f.To, len(f.Stamps))
	}
	for i, in := range d.GetInstances() {
		if in.GetWeight() != f.Stamps[i] {
			return fmt.Errorf("instance %s has weight %d, not %d", in.GetInstanceId(), in.GetWeight(), f.Stamps[i])
		}
	}
	return nil
}
