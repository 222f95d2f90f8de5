// Package jsonl writes what the example programs tell: one JSON object per
// line on standard output, for other programs to read.
package jsonl

import (
	"encoding/json"
	"os"
	"sync"
	"time"
)

// Header begins every line.
type Header struct {
	// TimeUS is when, in microseconds since 1970.
	TimeUS int64 `json:"time_us"`
	// Event is what the line tells of.
	Event string `json:"event"`
}

// Now is the header of a line that is written now.
func Now(event string) Header { return Header{time.Now().UnixMicro(), event} }

var (
	mu      sync.Mutex
	encoder = json.NewEncoder(os.Stdout)
)

// Write writes one line. Lines of several goroutines do not mix. Whether
// somebody reads them is none of the program's business.
func Write(line any) {
	mu.Lock()
	defer mu.Unlock()
	_ = encoder.Encode(line)
}
