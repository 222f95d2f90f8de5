package netfault

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// echo serves an echo, and tells of connections that ended.
func echo(t *testing.T) (address string, ended <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	over := make(chan struct{}, 10)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				conn.Close()
				over <- struct{}{}
			}()
		}
	}()
	return listener.Addr().String(), over
}

func start(t *testing.T) (*Proxy, <-chan struct{}) {
	t.Helper()
	target, ended := echo(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	p, err := Start(address, target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, ended
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// exchange sends a text and returns what came back within a time.
func exchange(t *testing.T, conn net.Conn, text string, wait time.Duration) (string, error) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	buffer := make([]byte, len(text))
	n, err := io.ReadFull(conn, buffer)
	return string(buffer[:n]), err
}

const (
	enough = 10 * time.Second
	little = 100 * time.Millisecond
)

func TestProxyPassesOnAndDelays(t *testing.T) {
	p, _ := start(t)
	conn := dial(t, p)
	if got, err := exchange(t, conn, "hello", enough); got != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	p.Delay(60 * time.Millisecond)
	began := time.Now()
	if got, err := exchange(t, conn, "again", enough); got != "again" || time.Since(began) < 120*time.Millisecond {
		t.Errorf("%q after %s, %v", got, time.Since(began), err)
	}
}

func TestProxyBlackholeHoldsBackAndDropLoses(t *testing.T) {
	p, _ := start(t)
	conn := dial(t, p)
	p.Blackhole(Down)
	if got, err := exchange(t, conn, "held", little); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q passed, %v", got, err)
	}
	if err := p.Clear(); err != nil {
		t.Fatal(err)
	}
	if got, err := exchange(t, conn, "1234", enough); got != "held" {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err := exchange(t, conn, "", enough); got != "" {
		t.Fatalf("%q, %v", got, err)
	}
	p.Drop(Up)
	if got, err := exchange(t, conn, "lost", little); got == "lost" {
		t.Errorf("%q passed, %v", got, err)
	}
}

func TestProxyResetAndRefuse(t *testing.T) {
	p, ended := start(t)
	conn := dial(t, p)
	if _, err := exchange(t, conn, "x", enough); err != nil {
		t.Fatal(err)
	}
	p.Refuse()
	if other, err := net.Dial("tcp", p.Address()); err == nil {
		other.Close()
		t.Error("a connection was accepted")
	}
	if got, err := exchange(t, conn, "y", enough); got != "y" {
		t.Errorf("the old connection: %q, %v", got, err)
	}
	p.Reset()
	if _, err := exchange(t, conn, "z", enough); err == nil {
		t.Error("the connection lives")
	}
	<-ended
	if err := p.Accept(); err != nil {
		t.Fatal(err)
	}
	if got, err := exchange(t, dial(t, p), "w", enough); got != "w" || p.Accepted() != 2 {
		t.Errorf("%q, %v; %d accepted", got, err, p.Accepted())
	}
}

func TestProxyHalfOpenKeepsTheClientsSide(t *testing.T) {
	p, ended := start(t)
	conn := dial(t, p)
	if _, err := exchange(t, conn, "x", enough); err != nil {
		t.Fatal(err)
	}
	p.HalfOpen()
	<-ended
	if _, err := exchange(t, conn, "y", little); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client heard of it: %v", err)
	}
	if got, err := exchange(t, dial(t, p), "z", enough); got != "z" {
		t.Errorf("a new connection: %q, %v", got, err)
	}
}

func TestProxyTruncatesOnceAndSlowsDown(t *testing.T) {
	p, _ := start(t)
	p.Truncate(3)
	if got, err := exchange(t, dial(t, p), "hello", enough); err == nil || !strings.HasPrefix("hel", got) {
		t.Errorf("%q, %v", got, err)
	}
	p.Slow(1000)
	began := time.Now()
	text := strings.Repeat("x", 200)
	if got, err := exchange(t, dial(t, p), text, enough); got != text || time.Since(began) < 150*time.Millisecond {
		t.Errorf("%d bytes after %s, %v", len(got), time.Since(began), err)
	}
}
