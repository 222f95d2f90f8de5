package fleet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// testFleet is a fleet of one shell script that pretends to be every program.
func testFleet(t *testing.T, script string) *Fleet {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"muster", "greeter-go", "caller-go", "greeter-rust", "caller-rust"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	f, err := New(t.Context(), bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func TestFleetNamesMissingPrograms(t *testing.T) {
	_, err := New(t.Context(), t.TempDir())
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "muster") || !strings.Contains(err.Error(), "make build") {
		t.Errorf("the error is %v", err)
	}
}

func TestUnexpectedEndEndsTheFleet(t *testing.T) {
	f := testFleet(t, "echo 'the disk is full' >&2; exit 3\n")
	g, err := f.StartGreeter(Go, "127.0.0.1:1", GreeterOptions{ID: "g"})
	if err != nil {
		t.Fatal(err)
	}
	<-f.Context.Done()
	cause := context.Cause(f.Context).Error()
	for _, want := range []string{"g ended unexpectedly", "exit status 3", "the disk is full"} {
		if !strings.Contains(cause, want) {
			t.Errorf("the cause does not say %q: %s", want, cause)
		}
	}
	if _, err := g.AwaitState(t.Context(), 0, "ACTIVE"); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("waiting for an ended process: %v", err)
	}
	if _, err := f.Start("another", "muster"); err == nil {
		t.Error("a fleet that ended started another process")
	}
}

func TestExpectedEnds(t *testing.T) {
	f := testFleet(t, `trap 'exit 7' TERM; echo '{"event":"listening"}'; while :; do sleep 0.01; done`+"\n")
	for _, test := range []struct {
		signal syscall.Signal
		status int
	}{{syscall.SIGTERM, 7}, {syscall.SIGKILL, -1}} {
		p, err := f.Start(test.signal.String(), "muster")
		if err != nil {
			t.Fatal(err)
		}
		listening := func(e Event) bool { return e.Event == EventListening }
		if _, err := p.First(t.Context(), 0, "a line", listening); err != nil {
			t.Fatal(err)
		}
		if err := p.Signal(test.signal); err != nil {
			t.Fatal(err)
		}
		if status, err := p.Wait(t.Context()); err != nil || status != test.status {
			t.Errorf("%s: exit status %d, %v", p.Name, status, err)
		}
		if err := p.Signal(syscall.SIGTERM); err == nil {
			t.Error("a process that is gone was signalled")
		}
	}
	if err := f.Context.Err(); err != nil {
		t.Errorf("an end that was asked for ended the fleet: %v", context.Cause(f.Context))
	}
}

func TestCloseEndsStubbornAndStoppedProcesses(t *testing.T) {
	f := testFleet(t, `trap '' TERM; echo '{"event":"listening"}'; while :; do sleep 0.01; done`+"\n")
	var processes []*Process
	for _, name := range []string{"stubborn", "stopped"} {
		p, err := f.Start(name, "muster")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.First(t.Context(), 0, "a line", func(Event) bool { return true }); err != nil {
			t.Fatal(err)
		}
		processes = append(processes, p)
	}
	if err := processes[1].Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, p := range processes {
		select {
		case <-p.Done():
		default:
			t.Errorf("%s is still there", p.Name)
		}
	}
	f.Close()
}

func TestShortProcessesMayEnd(t *testing.T) {
	f := testFleet(t, "echo 'muster: no' >&2; exit 1\n")
	p, err := f.StartShort("short", "muster")
	if err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(t.Context()); err != nil || status != 1 {
		t.Errorf("exit status %d, %v", status, err)
	}
	if said, err := p.Said(t.Context(), "muster: "); err != nil || said != "muster: no" {
		t.Errorf("said %q, %v", said, err)
	}
	if _, err := p.Said(t.Context(), "yes"); err == nil || !strings.Contains(err.Error(), "muster: no") {
		t.Errorf("what it did not say: %v", err)
	}
	if f.Context.Err() != nil {
		t.Error("a short process ended the fleet")
	}
}
