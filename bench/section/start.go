package section

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/muster-registry/muster/bench/drive"
)

// Start measures how long an empty server takes from exec to its first answer,
// and how large the program is.
func Start(ctx context.Context, r *Run) error {
	info, err := os.Stat(r.Program)
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	r.Report.Set("binary_mb", float64(info.Size())/1e6)
	for rep := range r.Reps {
		for _, name := range []string{"muster", "etcd"} {
			if r.Quick && rep > 0 && name == "etcd" {
				continue // it takes as long as all others together
			}
			if err := r.startOnce(ctx, name); err != nil {
				return err
			}
		}
	}
	r.Medians("start_ms", "start_rss_mb", "start_etcd_ms", "start_etcd_rss_mb")
	return nil
}

func (r *Run) startOnce(ctx context.Context, name string) (err error) {
	d, err := r.durable(ctx, name, drive.Config{Conns: 1})
	if d == nil || err != nil {
		return err
	}
	took := time.Since(d.Process().Started())
	defer func() { err = errors.Join(err, d.Close()) }()
	rss, err := d.Process().RSS()
	if err != nil {
		return err
	}
	prefix := "start_"
	if name != "muster" {
		prefix += name + "_"
	}
	r.Logf("%s: %v to the first answer, %d MiB", name, took, rss>>20)
	r.Sample(prefix+"ms", milliseconds(took))
	r.Sample(prefix+"rss_mb", float64(rss)/1e6)
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
