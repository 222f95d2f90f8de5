package main

import (
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
	bare     float64 // syncs per second of the bare disk, at the same time
}

func median(all []result) result {
	slices.SortFunc(all, func(a, b result) int { return int(a.rate - b.rate) })
	return all[len(all)/2]
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
	r.bare = (before + after) / 2
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
func bare(path string, duration time.Duration) (float64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(path) }()
	const size = 16 << 20
	if _, err := f.Write(make([]byte, size)); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	sector := make([]byte, 512)
	count := 0
	began := time.Now()
	for time.Since(began) < duration {
		if _, err := f.WriteAt(sector, int64(count*len(sector)%size)); err != nil {
			return 0, errors.Join(err, f.Close())
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, errors.Join(err, f.Close())
		}
		count++
	}
	return float64(count) / time.Since(began).Seconds(), f.Close()
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
