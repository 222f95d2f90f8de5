// Command engines compares what the embedded store could be built on: bbolt,
// pebble, and Muster's own log. All of them commit durably, to the same
// directory, in the same run, next to the bare cost of a sync.
//
//	go run . -dir /var/tmp -duration 3s
//
// Each worker writes one new key at a time and waits until it is durable.
// bbolt, which syncs twice in each transaction and lets one run at a time,
// gets the same group commit as the others: one goroutine commits all that
// waits. docs/storage.md has the results and what follows from them.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// engine is a store of keys under test.
type engine interface {
	// put returns once the key is durable. It is called concurrently.
	put(key string, value []byte) error
	close() error
}

// opener opens an engine in a directory, which it makes if it is missing.
type opener func(dir string) (engine, error)

var engines = []struct {
	name string
	open opener
}{
	{"muster log", openMuster},
	{"bbolt", openBolt},
	{"pebble", openPebble},
}

func main() {
	dir := flag.String("dir", os.TempDir(), "directory on the disk to measure")
	duration := flag.Duration("duration", 2*time.Second, "of each measurement")
	rounds := flag.Int("rounds", 5, "repetitions, of which the best counts: other programs only ever make it worse")
	entries := flag.Int("entries", 100_000, "entries in a store that is opened")
	flag.Parse()
	if err := run(*dir, *duration, *rounds, *entries); err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		os.Exit(1)
	}
}

func run(parent string, duration time.Duration, rounds, entries int) error {
	dir, err := os.MkdirTemp(parent, "engines-")
	if err != nil {
		return fmt.Errorf("make a directory to measure in: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := commits(dir, duration, rounds); err != nil {
		return err
	}
	return opens(dir, rounds, entries)
}

// commits measures each engine between two measurements of the bare disk, so
// that a change of the machine's mood shows.
func commits(dir string, duration time.Duration, rounds int) error {
	fmt.Printf("| %-10s | %7s | %9s | %8s | %8s | %12s | %11s |\n",
		"engine", "workers", "commits/s", "p50, µs", "p99, µs", "bare p50, µs", "p50 of bare")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	for _, workers := range []int{1, 64} {
		for _, e := range engines {
			var all []result
			for round := range rounds {
				r, err := measure(filepath.Join(dir, fmt.Sprint(e.name, workers, round)), e.open, workers, duration)
				if err != nil {
					return fmt.Errorf("%s with %d workers: %w", e.name, workers, err)
				}
				all = append(all, r)
			}
			m := best(all)
			fmt.Printf("| %-10s | %7d | %9.0f | %8.0f | %8.0f | %12.0f | %11.2f |\n", e.name, workers, m.rate,
				micros(m.p50), micros(m.p99), micros(m.bare), float64(m.p50)/float64(m.bare))
		}
	}
	return nil
}

func opens(dir string, rounds, entries int) error {
	fmt.Printf("\n| %-10s | open with %d entries, ms |\n| --- | --- |\n", "engine", entries)
	for _, e := range engines {
		path := filepath.Join(dir, "open"+e.name)
		if err := fill(path, e.open, entries); err != nil {
			return fmt.Errorf("fill %s: %w", e.name, err)
		}
		best := time.Duration(1<<63 - 1)
		for range rounds {
			began := time.Now()
			opened, err := e.open(path)
			if err != nil {
				return fmt.Errorf("open %s: %w", e.name, err)
			}
			best = min(best, time.Since(began))
			if err := opened.close(); err != nil {
				return fmt.Errorf("close %s: %w", e.name, err)
			}
		}
		fmt.Printf("| %-10s | %.0f |\n", e.name, float64(best)/1e6)
	}
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }
