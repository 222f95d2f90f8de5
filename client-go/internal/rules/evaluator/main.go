// Command evaluator evaluates rules for programs that compare languages: each
// line of standard input is {"rule": name, "input": {...}}, each line of
// standard output {"output": {...}} or {"error": text}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/muster-registry/muster/client-go/internal/rules/evaluate"
)

const longestLine = 64 << 20

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "evaluator:", err)
		os.Exit(1)
	}
}

func run() error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, longestLine)
	out := bufio.NewWriter(os.Stdout)
	for in.Scan() {
		if err := json.NewEncoder(out).Encode(answer(in.Bytes())); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return in.Err()
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
