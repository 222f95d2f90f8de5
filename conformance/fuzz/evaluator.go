package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"sync"
)

// question is an input of a rule.
type question struct {
	rule  string
	input any
	// garbage is a line that need not be a question; its answers are not compared.
	garbage []byte
}

func (q question) line() []byte {
	if q.garbage != nil {
		return q.garbage
	}
	return encode(map[string]any{"rule": q.rule, "input": q.input})
}

func encode(value any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic(err) // made here
	}
	return bytes.TrimSpace(b.Bytes())
}

// answer is what both languages say: first Go, then Rust.
type answer [2][]byte

// refusals tells of each language whether it says that the input is none.
func (a answer) refusals() (refused [2]bool) {
	for i := range a {
		refused[i] = bytes.HasPrefix(a[i], []byte(`{"error"`))
	}
	return refused
}

// agree compares values, not their texts. That an input is none is said by each
// language in its own words.
func (a answer) agree() bool {
	if bytes.Equal(a[0], a[1]) {
		return true
	}
	var decoded [2]struct {
		Output any     `json:"output"`
		Error  *string `json:"error"`
	}
	for i := range a {
		d := json.NewDecoder(bytes.NewReader(a[i]))
		d.UseNumber()
		if err := d.Decode(&decoded[i]); err != nil {
			return false
		}
	}
	if decoded[0].Error != nil || decoded[1].Error != nil {
		return decoded[0].Error != nil && decoded[1].Error != nil
	}
	return reflect.DeepEqual(decoded[0].Output, decoded[1].Output)
}

// pair is both evaluators.
type pair [2]*evaluator

// evaluator is one of them, a process.
type evaluator struct {
	path string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

func start(paths ...string) (*pair, error) {
	var p pair
	for i, path := range paths {
		e := &evaluator{path: path, cmd: exec.CommandContext(context.Background(), path)} //nolint:gosec // named on the command line
		e.cmd.Stderr = os.Stderr
		var err error
		if e.in, err = e.cmd.StdinPipe(); err != nil {
			return nil, err
		}
		out, err := e.cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		e.out = bufio.NewReaderSize(out, 1<<20)
		if err := e.cmd.Start(); err != nil {
			return nil, fmt.Errorf("%s does not start: %w; build both with scripts/build.sh evaluators", path, err)
		}
		p[i] = e
	}
	return &p, nil
}

func (p *pair) close() {
	for _, e := range p {
		_ = e.in.Close()
		_ = e.cmd.Wait()
	}
}

// ask asks both at the same time.
func (p *pair) ask(batch []question) ([]answer, error) {
	var lines bytes.Buffer
	for _, q := range batch {
		lines.Write(q.line())
		lines.WriteByte('\n')
	}
	answers := make([]answer, len(batch))
	var errs [2]error
	var wait sync.WaitGroup
	for i, e := range p {
		wait.Go(func() {
			errs[i] = e.ask(batch, lines.Bytes(), func(n int, line []byte) { answers[n][i] = line })
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// ask writes all lines while it reads the answers.
func (e *evaluator) ask(batch []question, lines []byte, got func(int, []byte)) error {
	written := make(chan error, 1)
	go func() {
		_, err := e.in.Write(lines)
		written <- err
	}()
	for n := range batch {
		line, err := e.out.ReadBytes('\n')
		if err != nil {
			<-written //nolint:errcheck // it ended as well, and this error is told
			return fmt.Errorf("%s ended (%w) on %s", e.path, err, batch[n].line())
		}
		got(n, bytes.TrimSpace(line))
	}
	return <-written
}
