package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/server"
	"github.com/muster-registry/muster/server/servertest"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts in testdata as they are now")

// TestTranscripts plays each file of testdata: what follows "$ " is done, with
// a registry in memory and in virtual time, and what follows that is what was
// shown, with "! " before lines of stderr and the exit code if it is not 0.
//
//	$ muster ARGS...          runs a command
//	$ NAME=$(muster ARGS...)  and keeps its stdout for $NAME
//	$ muster ARGS... &        runs one beside the others
//	$ stop                    interrupts that one and shows what it said
//	$ sleep 10s               lets time pass
//	$ registry stop|kill|start
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, string(text)) })
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("%s (-file +now; go test -rewrite takes it over):\n%s", file, diff)
			}
		})
	}
}

func play(t *testing.T, text string) string {
	p := &player{t: t, vars: map[string]string{}, registry: servertest.New(t, func(c *server.Config) { c.Version = "1.2.3" })}
	defer p.stop()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "$ "):
			p.shown.WriteString(line + "\n")
			p.do(strings.TrimPrefix(line, "$ "))
			synctest.Wait() // what follows from it is done before the next line
			p.shown.WriteString("\n")
		case strings.HasPrefix(line, "#"):
			p.shown.WriteString(line + "\n")
		}
	}
	return strings.TrimSuffix(p.shown.String(), "\n")
}

// player plays one transcript.
type player struct {
	t        *testing.T
	registry *servertest.Server
	vars     map[string]string
	shown    bytes.Buffer
	job      *job
}

// job is one command, run beside the others or not.
type job struct {
	mixed  transcript
	cancel context.CancelFunc
	exit   chan int
}

var capture = regexp.MustCompile(`^([A-Z]+)=\$\((.*)\)$`)

func (p *player) do(line string) {
	if m := capture.FindStringSubmatch(line); m != nil {
		j := p.start(m[2])
		code := <-j.exit
		p.vars[m[1]] = strings.TrimSpace(j.mixed.stdout())
		p.shown.WriteString(j.mixed.show(code, false))
		return
	}
	words := strings.Fields(line)
	switch {
	case words[0] == "muster" && words[len(words)-1] == "&":
		p.job = p.start(strings.TrimSuffix(line, "&"))
	case words[0] == "muster":
		j := p.start(line)
		p.shown.WriteString(j.mixed.show(<-j.exit, true))
	case words[0] == "stop":
		p.stop()
	case words[0] == "sleep":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			p.t.Fatal(err)
		}
		time.Sleep(d)
	case words[0] == "registry":
		map[string]func(){"start": p.registry.Start, "stop": p.registry.Stop, "kill": p.registry.Kill}[words[1]]()
	default:
		p.t.Fatalf("transcript: unknown line %q", line)
	}
}

func (p *player) stop() {
	if p.job == nil {
		return
	}
	p.job.cancel()
	p.shown.WriteString(p.job.mixed.show(<-p.job.exit, true))
	p.job = nil
}

func (p *player) start(line string) *job {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{cancel: cancel, exit: make(chan int, 1)}
	a := &app{
		out: j.mixed.writer(false), err: j.mixed.writer(true), environ: []string{"HOME=/somewhere/ann"},
		version: "1.2.3", zone: time.UTC, dial: p.registry.DialContext,
	}
	args := p.split(line)[1:]
	go func() {
		defer cancel()
		j.exit <- a.run(ctx, args)
	}()
	return j
}

// split cuts a line into words, as a shell does with plain quotes and variables.
func (p *player) split(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		for _, w := range strings.Fields(part) {
			if name, ok := strings.CutPrefix(w, "$"); ok {
				w = p.vars[name]
			}
			words = append(words, w)
		}
	}
	return words
}

// transcript is what a command wrote, with both streams in their order.
type transcript struct {
	mu    sync.Mutex
	parts []part
}

type part struct {
	isErr bool
	text  string
}

type streamWriter struct {
	t     *transcript
	isErr bool
}

func (t *transcript) writer(isErr bool) *streamWriter { return &streamWriter{t, isErr} }

// Write implements io.Writer.
func (w *streamWriter) Write(b []byte) (int, error) {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	// A line may come in pieces.
	if n := len(w.t.parts); n > 0 && w.t.parts[n-1].isErr == w.isErr {
		w.t.parts[n-1].text += string(b)
	} else {
		w.t.parts = append(w.t.parts, part{w.isErr, string(b)})
	}
	return len(b), nil
}

func (t *transcript) stdout() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, p := range t.parts {
		if !p.isErr {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// show is what a person saw, without what differs from run to run.
func (t *transcript) show(code int, withStdout bool) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	last := ""
	for _, p := range t.parts {
		for line := range strings.Lines(p.text) {
			if p.isErr {
				line = "! " + line
			} else if !withStdout {
				continue
			}
			// How often nothing happened is a matter of chance.
			if line = steady(line); line != last || !strings.Contains(line, " . nothing") {
				b.WriteString(line)
			}
			last = line
		}
	}
	if code != exitOK {
		fmt.Fprintf(&b, "[exit %d]\n", code)
	}
	return b.String()
}

// steady takes out of a line what differs from run to run.
func steady(line string) string {
	for _, v := range varying {
		line = v.pattern.ReplaceAllString(line, v.instead)
	}
	return line
}

var varying = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\d\d:\d\d:\d\d\.\d\d\d`), "TIME"},
	{regexp.MustCompile(`"time":"[^"]*"`), `"time":"TIME"`},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "HEX"},
	{regexp.MustCompile(`lease [0-9a-f]{4}\b`), "lease HEX"},
	{regexp.MustCompile(`"lease":"[0-9a-f]{4}"`), `"lease":"HEX"`},
	{regexp.MustCompile(`("(?:tag|digest|viewId|serverId)":\s*")[^"]*"`), `${1}RANDOM"`},
	{regexp.MustCompile(`(server id\s+)[A-Z0-9]{26}`), "${1}RANDOM"},
	// A stream of a server that dies may still bring its last word, or not.
	{regexp.MustCompile(`(watch: server \S+: ).*(; trying again)`), "${1}WHY${2}"},
	{regexp.MustCompile(`go1\.[0-9.]+`), "GO"},
	{regexp.MustCompile(`(linux|darwin)/[a-z0-9]+`), "PLATFORM"},
}
