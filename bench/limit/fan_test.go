package limit

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/muster-registry/muster/bench/fan"
)

// Every watcher gets every message of its topic once, in order, from both servers.
func TestFanServers(t *testing.T) {
	for name, serve := range map[string]func(context.Context, net.Listener) error{"broadcast": ServeBroadcast, "direct": ServeDirect} {
		t.Run(name, func(t *testing.T) { testFan(t, serve) })
	}
}

func testFan(t *testing.T, serve func(context.Context, net.Listener) error) {
	const topics, watchers, changes, size = 3, 10, 200, 400
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := serve(ctx, lis); err != nil {
			t.Error(err)
		}
	})
	defer serving.Wait()
	defer stop()
	d, err := DialFan("passthrough:///"+lis.Addr().String(), 4, FanSizes{Request: 100, Frame: size})
	if err != nil {
		t.Fatal(err)
	}
	windows := make([]*fan.Window, topics)
	for topic := range topics {
		windows[topic] = fan.NewWindow(changes, 1, watchers)
		for i := range watchers {
			last := uint64(0)
			err := d.Watch(t.Context(), i, topic, func(f *fan.Frame) {
				if f.From != last || f.To != last+1 || f.Bytes != size || len(f.Stamps) != 1 {
					t.Errorf("after %d came a frame from %d to %d with %d stamps and %d bytes", last, f.From, f.To, len(f.Stamps), f.Bytes)
				}
				last = f.To
				windows[topic].Seen(f.From, f.To)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var writers sync.WaitGroup
	for topic := range topics {
		writers.Go(func() {
			for i := range changes {
				if err := d.Change(t.Context(), i, topic, 0); err != nil {
					t.Error(err)
				}
			}
			// One more than the window is granted only once all were seen.
			for range changes + 1 {
				windows[topic].Take()
			}
		})
	}
	writers.Wait()
	if err := d.Err(); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
