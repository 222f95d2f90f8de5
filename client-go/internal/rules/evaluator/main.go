// Command evaluator evaluates rules for programs that compare languages: each
// line of standard input is {"rule": name, "input": {...}}, each line of
// standard output {"output": {...}} or {"error": text}.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/muster-registry/muster/client-go/internal/rules/evaluate"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "evaluator:", err)
		os.Exit(1)
	}
}

func run() error {
	in := bufio.NewReaderSize(os.Stdin, 1<<16)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(answer(line)); err != nil {
			return err
		}
		// Who asks in batches is answered in batches.
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

func answer(line []byte) map[string]any {
	var question struct {
		Rule  string          `json:"rule"`
		Input json.RawMessage `json:"input"`
	}
	if err := json.Unmarshal(line, &question); err != nil {
		return map[string]any{"error": err.Error()}
	}
	output, err := evaluate.Call(question.Rule, question.Input)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	return map[string]any{"output": json.RawMessage(output)}
}
