package section

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/load"
)

const (
	// syncBytes is how much is written before each sync, about one record.
	syncBytes = 512
	// syncFileBytes is the length of the file that is written round.
	syncFileBytes = 4 << 20
)

// OneWorker measures how long a registration takes if nothing else is going on.
// It may take as long as an empty call and one and a half syncs of this disk,
// measured in the same repetition.
func OneWorker(ctx context.Context, r *Run) error {
	servers, err := r.Shared(ctx)
	if err != nil {
		return err
	}
	disk, err := newSyncer(r.Dir)
	if err != nil {
		return err
	}
	defer disk.close()
	for range r.Reps {
		p50 := map[string]float64{}
		for _, s := range servers.All() {
			registrar, ok := s.Server.(drive.Registrar)
			if !ok {
				continue
			}
			result, err := r.closed(ctx, s, 1, registrar.Register())
			if err != nil {
				return err
			}
			r.sampleCalls("register_c1_"+s.Name, result)
			p50[s.Name] = float64(result.Latency.Quantile(0.5).Nanoseconds()) / 1e3
		}
		result, err := load.Closed(ctx, load.Plan{Workers: 1, Warmup: r.Warmup() / 4, Duration: r.Duration() / 2}, disk.sync)
		if err != nil {
			return err
		}
		sync := float64(result.Latency.Quantile(0.5).Nanoseconds()) / 1e3
		r.Sample("fdatasync_p50_us", sync)
		if muster, ok := p50["muster"]; ok {
			r.Sample("register_c1_p50_us", muster)
		}
		r.Sample("register_c1_budget_us", p50["limit"]+1.5*sync)
		r.Logf("fdatasync of a preallocated file: p50 %.0f us; a registration may take %.0f us", sync, p50["limit"]+1.5*sync)
	}
	r.reportCalls("register_c1", "limit", "muster", "etcd")
	r.Medians("fdatasync_p50_us", "register_c1_p50_us", "register_c1_budget_us")
	r.Ratio("register_c1_vs_budget", "register_c1_p50_us", "register_c1_budget_us")
	return nil
}

// syncer writes a file whose blocks are all written already, as a preallocated
// log is, and syncs after each write.
type syncer struct {
	file   *os.File
	record []byte
	at     int64
}

func newSyncer(dir string) (*syncer, error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return nil, fmt.Errorf("make a file to sync: %w", err)
	}
	s := &syncer{file: f, record: make([]byte, syncBytes)}
	_, err = f.Write(make([]byte, syncFileBytes))
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("preallocate %s: %w", f.Name(), err)
	}
	return s, nil
}

func (s *syncer) sync(context.Context, int) error {
	s.record[0]++ // so that there is something to write
	if _, err := s.file.WriteAt(s.record, s.at); err != nil {
		return fmt.Errorf("write %s: %w", s.file.Name(), err)
	}
	s.at = (s.at + syncBytes) % syncFileBytes
	if err := unix.Fdatasync(int(s.file.Fd())); err != nil {
		return fmt.Errorf("fdatasync %s: %w", s.file.Name(), err)
	}
	return nil
}

func (s *syncer) close() {
	s.file.Close()
	_ = os.Remove(s.file.Name())
}
