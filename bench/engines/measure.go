package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const valueBytes = 300

// result is one measurement.
type result struct {
	rate     float64 // commits per second
	p50, p99 time.Duration
	bare     time.Duration // median of a bare sync, just before or after
}

func best(all []result) result {
	return slices.MaxFunc(all, func(a, b result) int { return cmp.Compare(a.rate, b.rate) })
}

// measure runs workers against a new engine, and the bare disk before and
// after it.
func measure(dir string, open opener, workers int, duration time.Duration) (result, error) {
	before, err := bare(dir+".before", duration/2)
	if err != nil {
		return result{}, err
	}
	e, err := open(dir)
	if err != nil {
		return result{}, err
	}
	r, err := drive(e, workers, duration)
	if err = errors.Join(err, e.close()); err != nil {
		return result{}, err
	}
	after, err := bare(dir+".after", duration/2)
	if err != nil {
		return result{}, err
	}
	r.bare = min(before, after)
	return r, os.RemoveAll(dir)
}

func drive(e engine, workers int, duration time.Duration) (result, error) {
	took := make([][]time.Duration, workers)
	errs := make([]error, workers)
	value := make([]byte, valueBytes)
	began := time.Now()
	var joined sync.WaitGroup
	for w := range workers {
		joined.Go(func() {
			for i := 0; time.Since(began) < duration; i++ {
				t := time.Now()
				if err := e.put(key(w, i), value); err != nil {
					errs[w] = err
					return
				}
				took[w] = append(took[w], time.Since(t))
			}
		})
	}
	joined.Wait()
	elapsed := time.Since(began)
	all := slices.Concat(took...)
	slices.Sort(all)
	if err := errors.Join(errs...); err != nil || len(all) == 0 {
		return result{}, fmt.Errorf("%d commits: %w", len(all), err)
	}
	return result{
		rate: float64(len(all)) / elapsed.Seconds(),
		p50:  all[len(all)/2], p99: all[len(all)*99/100],
	}, nil
}

func key(worker, i int) string {
	return fmt.Sprintf("/i/default/service-%04d/instance-%08d", worker, i)
}

// bare measures writes of one 512-byte sector, each synced, to a file that was
// written before: the least that any durable commit can cost here.
func bare(path string, duration time.Duration) (time.Duration, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	took, err := syncs(f, duration)
	if err = errors.Join(err, f.Close(), os.Remove(path)); err != nil {
		return 0, fmt.Errorf("measure bare syncs: %w", err)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func syncs(f *os.File, duration time.Duration) ([]time.Duration, error) {
	const size = 16 << 20
	if _, err := f.Write(make([]byte, size)); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	sector := make([]byte, 512)
	var took []time.Duration
	for began := time.Now(); time.Since(began) < duration || len(took) == 0; {
		t := time.Now()
		if _, err := f.WriteAt(sector, int64(len(took)*len(sector)%size)); err != nil {
			return nil, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		took = append(took, time.Since(t))
	}
	return took, nil
}

// fill writes entries by many workers, and closes the engine.
func fill(dir string, open opener, entries int) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	e, err := open(dir)
	if err != nil {
		return err
	}
	const workers = 512
	errs := make([]error, workers)
	value := make([]byte, valueBytes)
	var joined sync.WaitGroup
	for w := range workers {
		joined.Go(func() {
			for i := w; i < entries && errs[w] == nil; i += workers {
				errs[w] = e.put(key(w, i), value)
			}
		})
	}
	joined.Wait()
	return errors.Join(errors.Join(errs...), e.close())
}
