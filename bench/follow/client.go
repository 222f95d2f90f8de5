// Package follow measures when clients see what was written: programs, one in
// each language, that watch a service and tell when their view came to which
// revision.
package follow

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/muster-registry/muster/client-go"
)

// Role is the argument that makes the benchmark's program a Go client.
const Role = "follow"

// Arrival is a view as a program saw it: the lines that followers print.
type Arrival struct {
	// Ready tells that the first view is there; nothing else is set then.
	Ready bool `json:"ready,omitempty"`
	// Revision is that of the view, and AtNs the time, in ns since 1970.
	Revision uint64 `json:"revision,omitempty"`
	AtNs     int64  `json:"at_ns,omitempty"`
}

// Follow is the role: it watches a service until standard input ends, and then
// prints all arrivals. Arguments are the server, the namespace and the service.
func Follow(ctx context.Context, args []string) (err error) {
	if len(args) != 3 {
		return errors.New("want: " + Role + " SERVER NAMESPACE SERVICE")
	}
	client, err := muster.New(args[:1], muster.WithName("bench-go"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	s, err := client.Subscribe(muster.Service(args[1], args[2]))
	if err != nil {
		return err
	}
	view, err := s.Wait(ctx, 0)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(Arrival{Ready: true}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	})
	defer reading.Wait()
	seen := watch(ctx, s, view)
	if err := s.Err(); err != nil {
		return err
	}
	for i := range seen {
		if err := out.Encode(seen[i]); err != nil {
			return fmt.Errorf("tell what was seen: %w", err)
		}
	}
	return nil
}

// watch notes all views after one until the context or the subscription ends.
func watch(ctx context.Context, s *muster.Subscription, view *muster.View) []Arrival {
	seen := make([]Arrival, 0, 1<<14)
	for s.Err() == nil {
		select {
		case <-view.Superseded():
			view = s.View()
			seen = append(seen, Arrival{Revision: view.Revision(), AtNs: time.Now().UnixNano()})
		case <-ctx.Done():
			return seen
		}
	}
	return seen
}

// scan reads lines of arrivals.
func scan(r io.Reader, each func(Arrival)) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var a Arrival
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return fmt.Errorf("%q is no arrival: %w", lines.Text(), err)
		}
		each(a)
	}
	return lines.Err()
}
