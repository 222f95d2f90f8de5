package follow

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMain lets the test's own program stand for a client.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "client" {
		_, _ = os.Stdout.WriteString(os.Args[2])
		if os.Args[2] != "" {
			_, _ = os.Stdin.Read(make([]byte, 1))
			_, _ = os.Stdout.WriteString("{\"revision\":7,\"at_ns\":9}\n{\"revision\":8,\"at_ns\":10}\n")
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestFollower(t *testing.T) {
	f, err := Start(t.Context(), []string{os.Args[0], "client", `{"ready":true}` + "\n"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Arrival{{Revision: 7, AtNs: 9}, {Revision: 8, AtNs: 10}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	f.Kill() // does nothing any more
}

func TestFollowerThatNeverBecomesReady(t *testing.T) {
	if _, err := Start(t.Context(), []string{os.Args[0], "client", ""}); err == nil {
		t.Error("a client that ended without a view was taken for ready")
	}
}

func TestScanRefusesOtherLines(t *testing.T) {
	if err := scan(strings.NewReader("panic\n"), func(Arrival) {}); err == nil {
		t.Error("a line that is no arrival was taken")
	}
}
