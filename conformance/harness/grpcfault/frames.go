package grpcfault

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// alteration is what happens to frames of a watch.
type alteration struct {
	kind  string // snapshot, delta, progress, opened; empty is all but opened
	times int    // frames that it still alters; -1 is all
	alter func(*musterv1.WatchResponse) [][]byte
}

// Alterations are the names that Alter knows.
func Alterations() []string {
	return []string{
		"duplicate", "drop", "wrong-digest", "wrong-count", "wrong-from", "recovering", "isolated", "older-epoch",
		"higher-epoch", "older-revision", "truncate", "garbage", "empty",
	}
}

// Alter alters the next frames of a kind, as its name says.
func (r *Rules) Alter(name, kind string, times int) error {
	alter := alterers[name]
	if alter == nil {
		return fmt.Errorf("no alteration of frames is named %q; known: %v", name, Alterations())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, &alteration{kind, times, alter})
	return nil
}

var alterers = map[string]func(*musterv1.WatchResponse) [][]byte{
	"duplicate": func(f *musterv1.WatchResponse) [][]byte { return [][]byte{encode(f), encode(f)} },
	"drop":      func(*musterv1.WatchResponse) [][]byte { return nil },
	"garbage":   func(*musterv1.WatchResponse) [][]byte { return [][]byte{{0x12, 0xff, 0xff, 0xff}} },
	"empty":     func(*musterv1.WatchResponse) [][]byte { return [][]byte{{}} },
	"truncate": func(f *musterv1.WatchResponse) [][]byte {
		bytes := encode(f)
		return [][]byte{bytes[:len(bytes)/2]}
	},
	"wrong-digest":   header(func(h *musterv1.ViewHeader) { h.Digest++ }),
	"wrong-count":    header(func(h *musterv1.ViewHeader) { h.Count++ }),
	"older-epoch":    header(func(h *musterv1.ViewHeader) { h.Epoch-- }),
	"higher-epoch":   header(func(h *musterv1.ViewHeader) { h.Epoch++ }),
	"older-revision": header(func(h *musterv1.ViewHeader) { h.Revision = 1 }),
	"recovering":     flag(musterv1.ViewFlag_VIEW_FLAG_RECOVERING),
	"isolated":       flag(musterv1.ViewFlag_VIEW_FLAG_ISOLATED),
	"wrong-from": func(f *musterv1.WatchResponse) [][]byte {
		if d := f.GetDelta(); d != nil {
			d.FromRevision--
		}
		return [][]byte{encode(f)}
	},
}

func header(alter func(*musterv1.ViewHeader)) func(*musterv1.WatchResponse) [][]byte {
	return func(f *musterv1.WatchResponse) [][]byte {
		if h := headerOf(f); h != nil {
			alter(h)
		}
		return [][]byte{encode(f)}
	}
}

func flag(which musterv1.ViewFlag) func(*musterv1.WatchResponse) [][]byte {
	return header(func(h *musterv1.ViewHeader) {
		if !slices.Contains(h.GetFlags(), which) {
			h.Flags = append(h.Flags, which)
		}
	})
}

func headerOf(f *musterv1.WatchResponse) *musterv1.ViewHeader {
	switch k := f.GetFrame().(type) {
	case *musterv1.WatchResponse_Snapshot:
		return k.Snapshot.GetHeader()
	case *musterv1.WatchResponse_Delta:
		return k.Delta.GetHeader()
	case *musterv1.WatchResponse_Progress:
		return k.Progress.GetHeader()
	}
	return nil
}

func kindOf(f *musterv1.WatchResponse) string {
	switch f.GetFrame().(type) {
	case *musterv1.WatchResponse_Opened:
		return "opened"
	case *musterv1.WatchResponse_Snapshot:
		return "snapshot"
	case *musterv1.WatchResponse_Delta:
		return "delta"
	case *musterv1.WatchResponse_Progress:
		return "progress"
	}
	return ""
}

// encode never fails: the message was decoded from bytes before.
func encode(m proto.Message) []byte {
	bytes, _ := proto.Marshal(m)
	return bytes
}

// alterFrame applies the rules in their order; each frame is altered by one.
func (r *Rules) alterFrame(bytes []byte) ([][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.frames) == 0 {
		return [][]byte{bytes}, nil
	}
	var f musterv1.WatchResponse
	if err := proto.Unmarshal(bytes, &f); err != nil {
		return nil, err
	}
	kind := kindOf(&f)
	for _, a := range r.frames {
		if a.times == 0 || a.kind != kind && (a.kind != "" || kind == "opened") {
			continue
		}
		if a.times > 0 {
			a.times--
		}
		return a.alter(&f), nil
	}
	return [][]byte{bytes}, nil
}

// Unconfirmed answers every keepalive with UNCONFIRMED and this time to wait;
// 0 ends it.
func (r *Rules) Unconfirmed(retry time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.uncertain = retry
}

// alterKeepAlive makes an answer an uncertain one.
func (r *Rules) alterKeepAlive(bytes []byte) ([][]byte, error) {
	r.mu.Lock()
	retry := r.uncertain
	r.mu.Unlock()
	if retry == 0 {
		return [][]byte{bytes}, nil
	}
	var answer musterv1.KeepAliveResponse
	if err := proto.Unmarshal(bytes, &answer); err != nil {
		return nil, err
	}
	answer.Exceptions = []*musterv1.KeepAliveException{{Kind: &musterv1.KeepAliveException_Unconfirmed{
		Unconfirmed: &musterv1.LeaseUnconfirmed{
			Reason: musterv1.UnconfirmedReason_UNCONFIRMED_REASON_VIEW_OLD, RetryAfter: durationpb.New(retry),
		},
	}}}
	return [][]byte{encode(&answer)}, nil
}
