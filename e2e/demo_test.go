package e2e

import (
	"testing"
)

// The demo that newcomers run goes as promised.
func TestE2EDemo(t *testing.T) {
	f := newFleet(t)
	p, err := f.Start("demo", "demo")
	if err != nil {
		t.Fatal(err)
	}
	p.ExpectEnd()
	status, err := p.Wait(f.Context)
	if err != nil {
		t.Fatal(err)
	}
	if status != 0 {
		t.Errorf("the demo exited with status %d:\n%s", status, p.Stderr())
	}
}
