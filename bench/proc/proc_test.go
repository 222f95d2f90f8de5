package proc

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// child makes the test binary a child process that does one thing.
const child = "MUSTER_BENCH_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(child) {
	case "":
		os.Exit(m.Run())
	case "work":
		held := make([]byte, 64<<20)
		for start := time.Now(); time.Since(start) < 100*time.Millisecond; {
			for i := 0; i < len(held); i += 4096 {
				held[i]++
			}
		}
		fmt.Println("worked")
		wait := make(chan os.Signal, 1)
		signal.Notify(wait, syscall.SIGTERM)
		<-wait
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("worked")
		select {}
	case "fail":
		fmt.Fprintln(os.Stderr, "this went wrong")
		os.Exit(3)
	}
}

func start(t *testing.T, what string) *Process {
	t.Helper()
	p, err := Start(Command{Path: os.Args[0], Env: []string{child + "=" + what}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	return p
}

// until waits for what the child says.
func until(t *testing.T, p *Process, word string) {
	t.Helper()
	late := time.After(time.Minute)
	for !strings.Contains(p.output.String(), word) {
		select {
		case <-p.output.grown:
		case <-late:
			t.Fatalf("the child did not say %q but %q", word, p.output)
		}
	}
}

func TestUsage(t *testing.T) {
	p := start(t, "work")
	until(t, p, "worked")
	cpu, err := p.CPU()
	if err != nil || cpu < 10*time.Millisecond || cpu > time.Minute {
		t.Errorf("CPU %v, %v", cpu, err)
	}
	rss, err := p.RSS()
	if err != nil || rss < 64<<20 || rss > 1<<30 {
		t.Errorf("RSS %d, %v", rss, err)
	}
	if peak, err := p.PeakRSS(); err != nil || peak < rss {
		t.Errorf("peak RSS %d below %d, %v", peak, rss, err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("a second stop: %v", err)
	}
	if _, err := p.RSS(); err == nil {
		t.Error("a child that ended has memory")
	}
}

func TestKill(t *testing.T) {
	p := start(t, "stubborn")
	until(t, p, "worked")
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	select {
	case <-p.Exited():
	default:
		t.Error("Kill returned before the child was gone")
	}
	if err := p.Kill(); err != nil {
		t.Errorf("a second kill: %v", err)
	}
	if err := p.Err(); err != nil {
		t.Errorf("a child that was killed %v", err)
	}
}

// A child that ends by itself is told with what it said.
func TestChildFails(t *testing.T) {
	p := start(t, "fail")
	<-p.Exited()
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "this went wrong") {
		t.Errorf("got %v", err)
	}
}

func TestCannotStart(t *testing.T) {
	if _, err := Start(Command{Path: "/nowhere/at/all"}); err == nil || !strings.Contains(err.Error(), "/nowhere/at/all") {
		t.Errorf("got %v", err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	o := newTail()
	for range tailBytes {
		fmt.Fprint(o, "abc")
	}
	fmt.Fprint(o, "the end")
	if s := o.String(); len(s) > tailBytes || !strings.HasSuffix(s, "the end") {
		t.Errorf("%d bytes, ends in %q", len(s), s[max(0, len(s)-10):])
	}
}
