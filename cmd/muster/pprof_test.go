package main

import (
	"net/http"
	"syscall"
	"testing"
)

func TestServerServesProfiles(t *testing.T) {
	p := run(t, nil, "server", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--pprof", "127.0.0.1:0")
	address := p.until(`msg="serving profiles" pprof=(\S+)`)[1]
	p.until(`msg=listening`)
	for _, name := range []string{"heap", "mutex", "goroutine", "cmdline"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s answers %s", request.URL, answer.Status)
		}
	}
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitOK {
		t.Errorf("exit code %d: %s", code, p.said)
	}
}

// A port that is taken is said before anybody is served.
func TestServerCannotServeProfiles(t *testing.T) {
	running, address := startServer(t, t.TempDir())
	p := run(t, nil, "server", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--pprof", address)
	if code, last := p.exit(), p.said[len(p.said)-1]; code != exitError ||
		last != "muster: serve profiles (setting pprof): listen tcp "+address+": bind: address already in use" {
		t.Errorf("exit code %d, says %q", code, last)
	}
	running.signal(syscall.SIGTERM)
	running.exit()
}
