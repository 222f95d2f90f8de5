package e2e

import (
	"syscall"
	"testing"
)

// The demo that newcomers run goes as promised.
func TestE2EDemo(t *testing.T) {
	f := newFleet(t)
	p, err := f.StartShort("demo", "demo")
	if err != nil {
		t.Fatal(err)
	}
	status, err := p.Wait(f.Context)
	if err != nil {
		// It ends its own processes, which a fleet knows nothing of.
		_ = p.Signal(syscall.SIGTERM)
		<-p.Done()
		t.Fatal(err)
	}
	if status != 0 {
		t.Errorf("the demo exited with status %d:\n%s", status, p.Stderr())
	}
}
