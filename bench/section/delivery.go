package section

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/follow"
	"github.com/muster-registry/muster/bench/limit"
	"github.com/muster-registry/muster/bench/muster"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/pick"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// rustProgram is where the build puts the Rust side of the benchmark, beside
	// the muster program.
	rustProgram = "muster-bench-rust"
	// deliveryService is watched by both clients; it has some instances already.
	deliveryService, deliveryInstances = 0, 20
	// deliveryGap is how long after one registration the next begins.
	deliveryGap = 4 * time.Millisecond
	// pickEndpoints is how many endpoints a channel picks from.
	pickEndpoints = 10
)

// Delivery measures the clients: from the begin of a Register in one process
// to the view in which another sees the instance, for a Go and a Rust process
// side by side; and what their channels' choice of an endpoint costs.
func Delivery(ctx context.Context, r *Run) error {
	rust, err := r.rustProgram()
	if err != nil {
		return err
	}
	for range r.fanReps() {
		if err := r.deliveryOne(ctx, rust); err != nil {
			return err
		}
	}
	for _, name := range []string{"go", "rust"} {
		r.Medians("delivery_"+name+"_p50_us", "delivery_"+name+"_p99_us")
	}
	r.Ratio("delivery_rust_vs_go", "delivery_rust_p50_us", "delivery_go_p50_us")
	return r.picks(ctx, rust)
}

// rustProgram finds the Rust side, or is empty, with a note, if it was not built.
func (r *Run) rustProgram() (string, error) {
	path := filepath.Join(filepath.Dir(r.Program), rustProgram)
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		r.Report.Note("delivery: %s was not built, so the Rust client was not measured", path)
		return "", nil
	}
	return path, err
}

func (r *Run) deliveryOne(ctx context.Context, rust string) (err error) {
	s, err := r.stage(ctx, "muster", 1, limit.FanSizes{})
	if s == nil || err != nil {
		return err
	}
	defer func() { err = s.explain(errors.Join(err, s.Close())) }()
	d := s.driver.(*muster.Fan)
	if err = d.Fill(ctx, 1, deliveryInstances); err != nil {
		return err
	}
	programs := map[string][]string{}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the benchmark's own program: %w", err)
	}
	where := []string{d.Address(), payload.Namespace, muster.FanService(deliveryService)}
	programs["go"] = append([]string{self, follow.Role}, where...)
	if rust != "" {
		programs["rust"] = append([]string{rust, "watch"}, where...)
	}
	followers := map[string]*follow.Follower{}
	defer func() {
		for _, f := range followers {
			f.Kill()
		}
	}()
	for name, command := range programs {
		if followers[name], err = follow.Start(ctx, command); err != nil {
			return fmt.Errorf("the %s client: %w", name, err)
		}
	}
	written, err := r.registrations(ctx, d)
	if err != nil {
		return err
	}
	for name, f := range followers {
		if err := r.compareArrivals(name, f, written); err != nil {
			return fmt.Errorf("the %s client: %w", name, err)
		}
	}
	return nil
}

// registration is one that was written: when it began, and its revision.
type registration struct {
	began    time.Time
	revision uint64
}

// registrations registers an instance, and takes it away again, many times.
func (r *Run) registrations(ctx context.Context, d *muster.Fan) ([]registration, error) {
	var all []registration
	for i := range Pick(r, 150, 800) {
		key := uint64(1_000_000 + i) //nolint:gosec // not negative
		request := payload.RegisterRequest(key, 0, payload.Instance(muster.FanService(deliveryService), key))
		var answer musterv1.RegisterResponse
		begin := time.Now()
		if err := decoded(ctx, d, musterv1.RegistrationService_Register_FullMethodName, request, &answer); err != nil {
			return nil, err
		}
		all = append(all, registration{begin, answer.GetRevision()})
		if err := pause(ctx, deliveryGap); err != nil {
			return nil, err
		}
		end := &musterv1.DeregisterRequest{LeaseId: answer.GetLease().GetLeaseId()}
		if err := decoded(ctx, d, musterv1.RegistrationService_Deregister_FullMethodName, end, &musterv1.DeregisterResponse{}); err != nil {
			return nil, err
		}
		if err := pause(ctx, deliveryGap/4); err != nil {
			return nil, err
		}
	}
	return all, pause(ctx, 100*time.Millisecond) // for the last one to arrive
}

func decoded(ctx context.Context, d *muster.Fan, method string, request, answer proto.Message) error {
	return d.Call(ctx, 0, method, payload.Encode(request), func(b []byte) error { return proto.Unmarshal(b, answer) })
}

// compareArrivals joins what a client saw with what was written.
func (r *Run) compareArrivals(name string, f *follow.Follower, written []registration) error {
	seen, err := f.Stop()
	if err != nil {
		return err
	}
	h, next := &fan.Histogram{}, 0
	for _, w := range written {
		for next < len(seen) && seen[next].Revision < w.revision {
			next++
		}
		if next == len(seen) {
			return fmt.Errorf("its view never came to revision %d", w.revision)
		}
		h.Add(time.Duration(seen[next].AtNs - w.began.UnixNano()))
	}
	p50, p99 := h.Quantile(500), h.Quantile(990)
	r.Sample("delivery_"+name+"_p50_us", float64(p50.Microseconds()))
	r.Sample("delivery_"+name+"_p99_us", float64(p99.Microseconds()))
	r.Logf("%s client: p50 %v, p99 %v from Register to its view", name, p50, p99)
	return nil
}

// picks measures the choice of an endpoint.
func (r *Run) picks(ctx context.Context, rust string) (err error) {
	s, err := r.stage(ctx, "muster", 1, limit.FanSizes{})
	if s == nil || err != nil {
		return err
	}
	defer func() { err = s.explain(errors.Join(err, s.Close())) }()
	cost, err := pick.Go(ctx, s.driver.(*muster.Fan).Address(), pickEndpoints)
	if err != nil {
		return fmt.Errorf("measure picks of the Go client: %w", err)
	}
	r.Report.Set("pick_go_ns", float64(cost)/1e3)
	r.Logf("a pick of %d endpoints by the Go client: %.1f ns", pickEndpoints, float64(cost)/1e3)
	if rust == "" {
		return nil
	}
	costs, err := pick.Rust(ctx, rust, pickEndpoints)
	if err != nil {
		return fmt.Errorf("measure picks of the Rust client: %w", err)
	}
	r.Report.Set("pick_rust_ns", float64(costs["even"])/1e3)
	r.Report.Set("pick_rust_weighted_ns", float64(costs["weighted"])/1e3)
	r.Logf("and by the Rust client: %.1f ns, with different weights %.1f ns", float64(costs["even"])/1e3, float64(costs["weighted"])/1e3)
	return nil
}
