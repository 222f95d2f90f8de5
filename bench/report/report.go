// Package report collects the figures of a run, compares them with their
// targets, and writes them down.
package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Report is the figures of one run. Its methods may be called concurrently.
type Report struct {
	mu      sync.Mutex
	figures map[string]float64
	facts   map[string]string
	notes   []string
}

// New makes an empty report.
func New() *Report {
	return &Report{figures: map[string]float64{}, facts: map[string]string{}}
}

// Set sets a figure. Keys are lower case words joined by underscores, and end
// with the unit unless they are ratios.
func (r *Report) Set(key string, value float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.figures[key] = value
}

// Get is a figure, and whether there is one.
func (r *Report) Get(key string) (float64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.figures[key]
	return v, ok
}

// Figures is a copy of all figures.
func (r *Report) Figures() map[string]float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.figures)
}

// Fact records something about the run that is no figure, such as the machine.
func (r *Report) Fact(key, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts[key] = value
}

// Facts is a copy of all facts.
func (r *Report) Facts() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.facts)
}

// Note adds a sentence that a reader of the figures must know, once.
func (r *Report) Note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// Notes are all notes in the order in which they were added.
func (r *Report) Notes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.notes)
}

// WriteJSON writes one flat object: figures as numbers, facts as strings, and
// the notes as a list. Missing folders are made.
func (r *Report) WriteJSON(path string) error {
	flat := map[string]any{"notes": r.Notes()}
	for key, value := range r.Facts() {
		flat[key] = value
	}
	for key, value := range r.Figures() {
		flat[key] = value
	}
	data, err := json.MarshalIndent(flat, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Median is the median of values: of an even number of them the middle between
// the two in the middle; 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
