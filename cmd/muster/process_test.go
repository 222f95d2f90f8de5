package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server"
)

// beMuster makes the test binary the program itself.
const beMuster = "MUSTER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(beMuster) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is the program, running.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	lines  chan string // of stderr
	said   []string
}

func run(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0], args...), lines: make(chan string, 1_000)}
	p.cmd.Env = append([]string{beMuster + "=1", "HOME=" + t.TempDir(), "GOCOVERDIR=" + t.TempDir()}, env...)
	p.cmd.Stdout = &p.stdout
	stderr, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	return p
}

// until waits for a line on stderr and returns the groups of the pattern.
func (p *process) until(pattern string) []string {
	p.t.Helper()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("it ended without saying %q; it said:\n%s", pattern, strings.Join(p.said, "\n"))
			}
			p.said = append(p.said, line)
			if m := regexp.MustCompile(pattern).FindStringSubmatch(line); m != nil {
				return m
			}
		case <-late.C:
			p.t.Fatalf("it did not say %q; it said:\n%s", pattern, strings.Join(p.said, "\n"))
		}
	}
}

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	for line := range p.lines {
		p.said = append(p.said, line)
	}
	err := p.cmd.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func startServer(t *testing.T, dir string, args ...string) (p *process, address string) {
	t.Helper()
	p = run(t, nil, append([]string{"server", "--data-dir", dir, "--listen", "127.0.0.1:0"}, args...)...)
	return p, p.until(`msg=listening grpc=(\S+)`)[1]
}

func TestServerStartsAndStops(t *testing.T) {
	for name, s := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "made", "here")
			p, address := startServer(t, dir)
			client := run(t, []string{"MUSTER_SERVERS=" + address}, "list", "-o", "json")
			if code := client.exit(); code != exitOK || !strings.Contains(client.stdout.String(), `"services": []`) {
				t.Errorf("list: exit code %d, %s%s", code, client.stdout.String(), client.said)
			}
			p.signal(s)
			if code := p.exit(); code != exitOK || p.stdout.Len() > 0 {
				t.Errorf("exit code %d, stdout %q", code, p.stdout.String())
			}
			text := strings.Join(p.said, "\n")
			for _, part := range []string{
				"data_dir=" + dir, "version=dev", "cluster_id=", "epoch=", "revision=1", "instances=0", "msg=stopped",
			} {
				if !strings.Contains(text, part) {
					t.Errorf("the log lacks %q:\n%s", part, text)
				}
			}
		})
	}
}

func TestServerKeepsWhatIsRegistered(t *testing.T) {
	dir := t.TempDir()
	p, address := startServer(t, dir)
	registered := run(t, nil, "register", "shop/pay", "--server", address, "--id", "pay-1", "--ttl", "1h", "--detach")
	if code := registered.exit(); code != exitOK || len(strings.TrimSpace(registered.stdout.String())) != 32 {
		t.Fatalf("register: exit code %d, stdout %q, %s", code, registered.stdout.String(), registered.said)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.exit()
	p, address = startServer(t, dir)
	got := run(t, nil, "get", "shop/pay/pay-1", "--server", address)
	if code := got.exit(); code != exitOK || !strings.Contains(got.stdout.String(), "pay-1") {
		t.Errorf("get after a restart: exit code %d, %s%s", code, got.stdout.String(), got.said)
	}
	p.signal(syscall.SIGTERM)
	p.exit()
}

// A server that cannot start says why, what to do, and ends.
func TestServerCannotStart(t *testing.T) {
	dir := t.TempDir()
	running, address := startServer(t, filepath.Join(dir, "running"))
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := damagedStore(t, filepath.Join(dir, "damaged"))
	tests := []struct {
		name string
		args []string
		exit int
		says string
	}{
		{
			"address in use",
			[]string{"--data-dir", filepath.Join(dir, "a"), "--listen", address},
			exitError,
			"muster: listen on " + address + ": address already in use; stop the other process, or choose another with --listen",
		},
		{
			"address of another machine",
			[]string{"--data-dir", filepath.Join(dir, "a"), "--listen", "192.0.2.1:7070"},
			exitError,
			"muster: listen on 192.0.2.1:7070: cannot assign requested address; choose another with --listen",
		},
		{
			"store in use",
			[]string{"--data-dir", filepath.Join(dir, "running")},
			exitError,
			"held by process " + strconv.Itoa(running.cmd.Process.Pid) + "; stop that process, or give this one another directory",
		},
		{"a file", []string{"--data-dir", file}, exitError, "muster: open store in " + file + ": the directory cannot be made: mkdir " + file + ": not a directory"},
		{"damaged", []string{"--data-dir", damaged}, exitError, "nothing was changed; restore the directory from a backup"},
		{"configuration", []string{"--data-dir", filepath.Join(dir, "never"), "--history", "0"}, exitUsage, "muster: configuration: history:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := run(t, nil, append([]string{"server", "--listen", "127.0.0.1:0"}, tt.args...)...)
			if code := p.exit(); code != tt.exit {
				t.Errorf("exit code %d, want %d", code, tt.exit)
			}
			last := p.said[len(p.said)-1]
			if !strings.Contains(last, tt.says) {
				t.Errorf("says %q\nwant %q", last, tt.says)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "never")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory was opened although the configuration is wrong: %v", err)
	}
	running.signal(syscall.SIGTERM)
	running.exit()
}

// damagedStore is a store in which something durable was overwritten.
func damagedStore(t *testing.T, dir string) string {
	p, _ := startServer(t, dir)
	p.signal(syscall.SIGTERM)
	p.exit()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if filepath.Base(f) == "LOCK" {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i := range text[:min(64, len(text))] {
			text[i] ^= 0x5a
		}
		if err := os.WriteFile(f, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// halfCall begins a call and never finishes it, so that a graceful stop has
// something to wait for.
func halfCall(t *testing.T, address string) {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := musterv1.NewServerServiceClient(conn).GetServerInfo(t.Context(), &musterv1.GetServerInfoRequest{}); err != nil {
		t.Fatal(err)
	}
	desc := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	if _, err := conn.NewStream(t.Context(), desc, musterv1.DiscoveryService_Lookup_FullMethodName); err != nil {
		t.Fatal(err)
	}
	// The server handles calls of a connection in order: once it answers this
	// one, it has seen the one before.
	if _, err := musterv1.NewServerServiceClient(conn).GetServerInfo(t.Context(), &musterv1.GetServerInfoRequest{}); err != nil {
		t.Fatal(err)
	}
}

func TestServerStopsAtOnceAtASecondSignal(t *testing.T) {
	p, address := startServer(t, t.TempDir(), "--shutdown-timeout", "10m")
	halfCall(t, address)
	p.signal(os.Interrupt)
	p.until("stopping")
	again := time.NewTicker(oneSignal / 2)
	defer again.Stop()
	done := make(chan int, 1)
	go func() { done <- p.exit() }()
	for {
		select {
		case code := <-done:
			if code != exitInterrupted {
				t.Errorf("exit code %d, want %d:\n%s", code, exitInterrupted, strings.Join(p.said, "\n"))
			}
			return
		case <-again.C:
			_ = p.cmd.Process.Signal(os.Interrupt)
		}
	}
}

func TestServerCutsWhatDoesNotEnd(t *testing.T) {
	p, address := startServer(t, t.TempDir(), "--shutdown-timeout", "50ms")
	halfCall(t, address)
	p.signal(syscall.SIGTERM)
	p.until("they are cut")
	if code := p.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestPrintConfig(t *testing.T) {
	p := run(t, []string{"MUSTER_SERVER_LOG_FORMAT=json"}, "server", "--print-config", "--listen", ":1")
	if code := p.exit(); code != exitOK {
		t.Errorf("exit code %d: %s", code, p.said)
	}
	for _, line := range []string{"listen: :1 # flag --listen", "  format: json # environment MUSTER_SERVER_LOG_FORMAT", "history: 262144 # default"} {
		if !strings.Contains(p.stdout.String(), line+"\n") {
			t.Errorf("%q is missing in:\n%s", line, p.stdout.String())
		}
	}
}

// The defaults that people read are those that the server has.
func TestDefaultsAreTheServers(t *testing.T) {
	p := run(t, nil, "server", "--print-config")
	p.exit()
	c := server.DefaultConfig()
	for _, line := range []string{
		"listen: " + c.Listen + " #", "shutdown-timeout: " + c.ShutdownTimeout.String() + " #",
		"  request-bytes: " + strconv.Itoa(c.Limits.RequestBytes) + " #",
	} {
		if !strings.Contains(p.stdout.String(), line) {
			t.Errorf("%q is missing in:\n%s", line, p.stdout.String())
		}
	}
}
