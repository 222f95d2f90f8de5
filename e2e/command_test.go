package e2e

import (
	"strings"
	"testing"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

// The command line sees what both languages registered, and says by its exit
// status what it did not find.
func TestE2ECommandLine(t *testing.T) {
	in := install(t)
	in.greeter(fleet.Go, fleet.GreeterOptions{ID: "go-1", Version: "1.2.3", Zone: "zone-a"})
	in.greeter(fleet.Rust, fleet.GreeterOptions{ID: "rust-1", Version: "1.2.3", Zone: "zone-a"})
	for _, test := range []struct {
		name   string
		args   []string
		status int
		says   []string
	}{
		{"get", []string{"get", "demo/greeter"}, 0, []string{"go-1", "rust-1", "1.2.3", "zone-a"}},
		{"list", []string{"list"}, 0, []string{"demo/greeter"}},
		{"info", []string{"info"}, 0, []string{"drain_barrier"}},
		{
			"get a service that never was",
			[]string{"get", "demo/greter"},
			3,
			[]string{`service "demo/greter" has never been registered`, "similar: demo/greeter", "[SERVICE_UNKNOWN]"},
		},
		{
			"nobody there",
			[]string{"get", "demo/greeter", "--timeout", "500ms"},
			5,
			[]string{"no registry server reachable: 127.0.0.1:1 (connection refused)", `Is "muster server" running?`, "[NO_SERVER]"},
		},
		{"wrong use", []string{"get"}, 2, []string{`see "muster get --help"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := in.server.Address
			if test.name == "nobody there" {
				server = "127.0.0.1:1"
			}
			args := append([]string{"--server", server}, test.args...)
			p, err := in.fleet.StartShort("muster "+test.name, "muster", args...)
			if err != nil {
				t.Fatal(err)
			}
			status, err := p.Wait(in.ctx)
			if err != nil {
				t.Fatal(err)
			}
			said := strings.Join(p.Journal.Strange(), "\n") + p.Stderr()
			if status != test.status {
				t.Errorf("exit status %d, not %d:\n%s", status, test.status, said)
			}
			for _, want := range test.says {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q:\n%s", want, said)
				}
			}
		})
	}
}
