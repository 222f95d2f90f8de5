package pick

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
)

// Rust is the cost of a pick by the Rust client's channel, in ps, by the kind of
// weights: "even" and "weighted".
func Rust(ctx context.Context, program string, endpoints int) (map[string]int64, error) {
	output, err := exec.CommandContext(ctx, program, "pick", strconv.Itoa(endpoints)).Output() //nolint:gosec // our own program
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", program, err)
	}
	costs := map[string]int64{}
	for line := range bytes.Lines(output) {
		var one struct {
			Pick string
			PS   int64
		}
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, fmt.Errorf("%s printed %q: %w", program, line, err)
		}
		costs[one.Pick] = one.PS
	}
	return costs, nil
}
