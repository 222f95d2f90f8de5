package main

import (
	"bufio"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/muster-registry/muster/client-go"
)

// TestRun serves over TCP until the context ends.
func TestRun(t *testing.T) {
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = in
	defer func() { os.Stdout = stdout }()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, "127.0.0.1:0") }()

	line, err := bufio.NewReader(out).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !ok {
		t.Fatalf("printed %q, %v", line, err)
	}
	client, err := muster.New([]string{address})
	if err != nil {
		t.Fatal(err)
	}
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := client.Register(within, muster.InstanceSpec{Namespace: "shop", Service: "pay", ID: "a"}); err != nil {
		t.Fatal(err)
	}
	client.Close()
	stop()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}
