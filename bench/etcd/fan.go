package etcd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
)

// Fan is the driver of etcd for the sections about watchers: a watch stream
// for each watcher, on the prefix of the service; a put for each change, to a
// key with a lease.
type Fan struct {
	*fan.Streams
	lease int64
	value []byte
}

// Fan makes connections of its own to the server.
func (s *Server) Fan(conns int) (*Fan, error) {
	streams, err := fan.Dial(s.Conns.Conn(0).Target(), conns)
	if err != nil {
		return nil, err
	}
	return &Fan{Streams: streams, lease: s.leases.Add(1), value: payload.Encode(payload.Instance("service", 0))}, nil
}

func fanKeys(service int) string { return fmt.Sprintf("%sfan-%05d/", keyPrefix, service) }

func drop([]byte) error { return nil }

// Fill implements fan.Driver.
func (d *Fan) Fill(ctx context.Context, services, instances int) error {
	grant := grantRequest(d.lease, int64(payload.DefaultTTL/time.Second))
	if err := d.Call(ctx, 0, etcdserverpb.Lease_LeaseGrant_FullMethodName, grant, drop); err != nil {
		return fmt.Errorf("grant a lease: %w", err)
	}
	for s := range services {
		for i := range instances {
			if err := d.Change(ctx, s, s, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// Change implements fan.Driver. The value ends with the stamp.
func (d *Fan) Change(ctx context.Context, conn, service, instance int) error {
	value := make([]byte, 0, len(d.value)+4)
	value = binary.LittleEndian.AppendUint32(append(value, d.value...), fan.Now())
	put := putRequest(fanKeys(service)+payload.InstanceID(uint64(instance)), value, d.lease) //nolint:gosec // small
	return d.Call(ctx, conn, etcdserverpb.KV_Put_FullMethodName, put, drop)
}

// Watch implements fan.Driver.
func (d *Fan) Watch(ctx context.Context, conn, service int, f func(*fan.Frame)) error {
	s := &fanScanner{}
	return d.Open(ctx, conn, etcdserverpb.Watch_Watch_FullMethodName, true, watchRequest(fanKeys(service)), s.scan, f)
}

// Numbers of the fields that the scan reads; a test compares them with etcd's types.
const (
	watchHeader, watchCreated, watchCanceled, watchEvents = 1, 3, 4, 11
	headerRevision                                        = 3
	eventKV                                               = 2
	kvModRevision, kvValue                                = 3, 5
)

var errCanceled = errors.New("etcd canceled the watch")

type fanScanner struct{ frames atomic.Uint64 }

// scan implements fan.Scan.
func (s *fanScanner) scan(message []byte, f *fan.Frame) error {
	f.Complete = true
	var revision uint64
	err := fan.Fields(message, func(n protowire.Number, v uint64, sub []byte) error {
		switch n {
		case watchHeader:
			return number(sub, headerRevision, &revision)
		case watchCreated:
			f.Setup = v != 0
		case watchCanceled:
			return errCanceled
		case watchEvents:
			return scanEvent(sub, f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if f.Setup = f.Setup || len(f.Stamps) == 0; f.Setup {
		f.From, f.To = revision, revision
		return nil
	}
	if s.frames.Add(1)%raw.CheckEvery == 0 {
		return compareFrame(message, f)
	}
	return nil
}

func scanEvent(event []byte, f *fan.Frame) error {
	var revision uint64
	err := fan.Fields(event, func(n protowire.Number, _ uint64, kv []byte) error {
		if n != eventKV {
			return nil
		}
		return fan.Fields(kv, func(n protowire.Number, v uint64, sub []byte) error {
			switch n {
			case kvModRevision:
				revision = v
			case kvValue:
				if len(sub) < 4 {
					return fmt.Errorf("a value of %d bytes has no stamp", len(sub))
				}
				f.Stamps = append(f.Stamps, binary.LittleEndian.Uint32(sub[len(sub)-4:]))
			}
			return nil
		})
	})
	if f.From == 0 {
		f.From = revision - 1
	}
	f.To = revision
	return err
}

// number finds a number in a message.
func number(b []byte, field protowire.Number, to *uint64) error {
	return fan.Fields(b, func(n protowire.Number, v uint64, _ []byte) error {
		if n == field {
			*to = v
		}
		return nil
	})
}

// compareFrame decodes a message wholly and tells if the scan found something else.
func compareFrame(message []byte, f *fan.Frame) error {
	var response etcdserverpb.WatchResponse
	if err := proto.Unmarshal(message, &response); err != nil {
		return fmt.Errorf("decode a watch response: %w", err)
	}
	events := response.GetEvents()
	if len(events) != len(f.Stamps) {
		return fmt.Errorf("a response with %d events was taken for one with %d", len(events), len(f.Stamps))
	}
	first, last := events[0].GetKv(), events[len(events)-1].GetKv()
	if uint64(first.GetModRevision())-1 != f.From || uint64(last.GetModRevision()) != f.To { //nolint:gosec // never negative
		return fmt.Errorf("revisions %d to %d were taken for %d to %d", first.GetModRevision(), last.GetModRevision(), f.From+1, f.To)
	}
	return nil
}
