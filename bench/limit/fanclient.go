package limit

import (
	"context"
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/muster-registry/muster/bench/fan"
)

// FanSizes are the sizes of messages, which are made those of another driver.
type FanSizes struct {
	// Request is that of the call that makes one change; Frame that of what
	// each watcher gets.
	Request, Frame int
}

// Fan is the driver of the two servers that only fan out.
type Fan struct {
	*fan.Streams
	sizes FanSizes
}

// DialFan makes the driver.
func DialFan(target string, conns int, sizes FanSizes) (*Fan, error) {
	s, err := fan.Dial(target, conns)
	if err != nil {
		return nil, err
	}
	return &Fan{Streams: s, sizes: sizes}, nil
}

// Fill implements fan.Driver: there is nothing to be made.
func (*Fan) Fill(context.Context, int, int) error { return nil }

// Watch implements fan.Driver.
func (d *Fan) Watch(ctx context.Context, conn, service int, f func(*fan.Frame)) error {
	topic := binary.LittleEndian.AppendUint32(nil, uint32(service)) //nolint:gosec // a small number
	return d.Open(ctx, conn, watchMethod, false, bytesValue(topic), scanMessage, f)
}

// Change implements fan.Driver.
func (d *Fan) Change(ctx context.Context, conn, service, _ int) error {
	request := publishRequest(service, fan.Now(), d.sizes.Frame, d.sizes.Request)
	return d.Call(ctx, conn, publishMethod, bytesValue(request), func(answer []byte) error {
		if len(answer) < 8 {
			return errShort
		}
		return nil
	})
}

func scanMessage(m []byte, f *fan.Frame) error {
	if len(m) < fanHeader {
		return errShort
	}
	f.Complete = true
	f.To = binary.LittleEndian.Uint64(m)
	f.From = f.To - 1
	stamp := binary.LittleEndian.Uint32(m[8:])
	if stamp == 0 {
		f.Setup, f.From = true, f.To
		return nil
	}
	f.Stamps = append(f.Stamps, stamp)
	return nil
}

// bytesValue is an encoded google.protobuf.BytesValue.
func bytesValue(b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
}
