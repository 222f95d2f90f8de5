package section

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/limit"
	"github.com/muster-registry/muster/bench/report"
)

// The test binary is the limit's server if it is started as that.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == limit.Role {
		if err := limit.Serve(context.Background(), os.Args[2:]); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func newRun(t *testing.T, targets ...drive.Target) *Run {
	return &Run{Quick: true, Reps: 2, Dir: t.TempDir(), Targets: targets, Report: report.New(), Log: t.Output()}
}

// broken is a target that does not start.
type broken struct{}

var errBroken = errors.New("broken")

func (broken) Name() string { return "broken" }

func (broken) Start(context.Context, drive.Config) (drive.Server, error) { return nil, errBroken }

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("%s is left", entry.Name())
	}
}

// The sections of calls and keepalives measure what there is, leave the rest
// out, and leave nothing behind.
func TestCalls(t *testing.T) {
	r := newRun(t, limit.Target{})
	for _, measure := range []func(context.Context, *Run) error{Noise, Register, Batch, OneWorker, Lookup, KeepAlive, Noise} {
		if err := measure(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.CloseShared(); err != nil {
		t.Error(err)
	}
	for _, key := range []string{
		"noise_percent", "register_c64_limit_per_s", "register_c64_limit_cpu_us", "register_batch_limit_unary_per_s",
		"register_c1_budget_us", "fdatasync_p50_us", "lookup_n10_limit_per_s", "lookup_unchanged_limit_per_s",
		"keepalive_limit_per_s", "keepalive_batched_limit_cpu_s_per_million",
	} {
		if _, ok := r.Report.Get(key); !ok {
			t.Errorf("%s was not measured", key)
		}
	}
	for key := range r.Report.Figures() {
		if strings.Contains(key, "_vs_") || strings.Contains(key, "muster") {
			t.Errorf("%s was reported, without Muster", key)
		}
	}
	empty(t, r.Dir)
}

// A server that does not start ends those that did.
func TestStartFails(t *testing.T) {
	r := newRun(t, limit.Target{}, broken{})
	_, err := r.Start(t.Context(), drive.Config{Conns: 1})
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "start broken") {
		t.Errorf("got %v", err)
	}
	empty(t, r.Dir)
}

func TestStartNamed(t *testing.T) {
	r := newRun(t, limit.Target{}, broken{})
	servers, err := r.Start(t.Context(), drive.Config{Conns: 1}, "limit")
	if err != nil {
		t.Fatal(err)
	}
	limits, ok := servers.Find("limit")
	if !ok || len(servers.All()) != 1 || servers.Get("broken") != nil {
		t.Errorf("started %v", servers.All())
	}
	if limits.Ready() <= 0 {
		t.Errorf("it was ready after %v", limits.Ready())
	}
	if err := servers.Close(); err != nil {
		t.Error(err)
	}
	if rss, err := limits.Process().RSS(); err == nil {
		t.Errorf("the server still has %d bytes of memory", rss)
	}
	empty(t, r.Dir)
}

// What sections share ends when other servers start.
func TestSharedServersEnd(t *testing.T) {
	r := newRun(t, limit.Target{})
	first, err := r.Shared(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.Shared(t.Context())
	if err != nil || again != first {
		t.Fatalf("two sets of shared servers: %v", err)
	}
	other, err := r.Start(t.Context(), drive.Config{Conns: 1})
	if err != nil {
		t.Fatal(err)
	}
	if rss, rssErr := first.All()[0].Process().RSS(); rssErr == nil {
		t.Errorf("the shared server still has %d bytes of memory", rss)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	empty(t, r.Dir)
}
