package muster

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/raw"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Numbers of the fields that the scan reads. A test compares them with the contract.
const (
	fieldDelta, scanSnapshot = 3, 2

	scanHeader, scanChunk, scanFrom, scanInstances = 1, 2, 3, 4
	scanRevision, scanUptime                       = 3, 7
	scanPosition                                   = 2
	scanWeight, scanModifyTime                     = 7, 23
	scanSeconds, scanNanos                         = 1, 2
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
	if number != fieldDelta && number != scanSnapshot {
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
	if s.frames++; s.frames%raw.CheckEvery == 0 {
		return compare(message, f)
	}
	return nil
}

func scanUpdate(b []byte, f *fan.Frame) error {
	return fan.Fields(b, func(n protowire.Number, v uint64, sub []byte) error {
		switch n {
		case scanHeader:
			return fan.Fields(sub, func(n protowire.Number, v uint64, _ []byte) error {
				switch n {
				case scanRevision:
					f.To = v
				case scanUptime:
					f.UptimeMs = int64(v) //nolint:gosec // some days
				}
				return nil
			})
		case scanChunk:
			return fan.Fields(sub, func(n protowire.Number, v uint64, _ []byte) error {
				if n == scanPosition {
					f.Complete = v == uint64(musterv1.ChunkPosition_CHUNK_POSITION_FINAL)
				}
				return nil
			})
		case scanFrom:
			f.From = v
		case scanInstances:
			return scanInstance(sub, f)
		}
		return nil
	})
}

func scanInstance(b []byte, f *fan.Frame) error {
	return fan.Fields(b, func(n protowire.Number, v uint64, sub []byte) error {
		switch n {
		case scanWeight:
			f.Stamps = append(f.Stamps, uint32(v)) //nolint:gosec // at most a million
		case scanModifyTime:
			var written int64
			err := fan.Fields(sub, func(n protowire.Number, v uint64, _ []byte) error {
				switch n {
				case scanSeconds:
					written += int64(v) * int64(time.Second) //nolint:gosec // a time of today
				case scanNanos:
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
