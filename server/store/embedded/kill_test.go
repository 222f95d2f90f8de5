package embedded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-registry/muster/server/store"
)

const (
	killDirEnv   = "MUSTER_CRASH_DIR"   // makes the test binary the child
	killsEnv     = "MUSTER_CRASH_KILLS" // how many kills, instead of the default
	defaultKills = 200
	killWorkers  = 8
)

// TestKill9 kills a process that commits, with SIGKILL and at random moments,
// again and again on the same directory. Whatever it had confirmed must be
// there in the next one, which checks what it finds.
func TestKill9(t *testing.T) {
	if dir := os.Getenv(killDirEnv); dir != "" {
		killChild(t, dir)
		return
	}
	kills := defaultKills
	if testing.Short() {
		kills = 20
	}
	if v := os.Getenv(killsEnv); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("%s=%q is not a number of kills: %v", killsEnv, v, err)
		}
		kills = n
	}
	dir := t.TempDir()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 5))
	confirmed := make(map[string]uint64) // what each worker wrote last
	total := 0
	for i := range kills {
		verifyConfirmed(t, dir, confirmed)
		if t.Failed() {
			t.Fatalf("after %d kills, %d confirmed", i, total)
		}
		total += killOnce(t, dir, rng, confirmed)
	}
	verifyConfirmed(t, dir, confirmed)
	t.Logf("%d kills, %d mutations confirmed", kills, total)
	if total < kills {
		t.Errorf("only %d mutations were confirmed in %d lives: the kills come too early to prove anything", total, kills)
	}
}

// killOnce runs a child until it is killed, and adds what it confirmed.
func killOnce(t *testing.T, dir string, rng *rand.Rand, confirmed map[string]uint64) int {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill9$", "-test.count=1")
	child.Env = append(os.Environ(), killDirEnv+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	count := 0
	// The kill comes a random number of confirmations after the beginning, so
	// that a slow machine kills in the same places as a fast one, and then a
	// random moment later.
	for after := rng.IntN(400); ; after-- {
		line, err := lines.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("read the child's confirmations: %v", err)
			}
			break
		}
		if note(t, line, confirmed) {
			count++
		}
		if after == 0 {
			time.AfterFunc(time.Duration(rng.IntN(2000))*time.Microsecond, func() { _ = child.Process.Kill() })
		}
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the child ended by itself: %v", err)
	}
	return count
}

// note takes a child's line "ok <worker> <number>"; the last may be cut off.
func note(t *testing.T, line string, confirmed map[string]uint64) bool {
	t.Helper()
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[0] != "ok" {
		if len(fields) > 0 && fields[0] != "ok" {
			t.Errorf("the child says %q", line)
		}
		return false
	}
	n, err := strconv.ParseUint(fields[2], 10, 64)
	if err != nil {
		t.Errorf("the child says %q: %v", line, err)
		return false
	}
	confirmed[fields[1]] = max(confirmed[fields[1]], n)
	return true
}

// verifyConfirmed opens the store and checks each worker's keys: the counter
// is at least what was confirmed, and its witness, written by the same
// mutations, says the same.
func verifyConfirmed(t *testing.T, dir string, confirmed map[string]uint64) {
	t.Helper()
	s, err := Open(killOptions(dir))
	if err != nil {
		t.Fatalf("open after a kill: %v", err)
	}
	r := &recorder{}
	if err := s.Start(r); err != nil {
		t.Fatal(err)
	}
	_, entries, _ := r.snapshot()
	for worker, want := range confirmed {
		counter, witness := number64(entries["/counter/"+worker]), number64(entries["/witness/"+worker])
		if counter < want || witness != counter {
			t.Errorf("worker %s: counter %d, witness %d; %d was confirmed", worker, counter, witness, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func number64(e store.Entry) uint64 {
	n, _ := strconv.ParseUint(strings.TrimRight(string(e.Value), "x"), 10, 64) // 0 if it is absent
	return n
}

func killOptions(dir string) Options {
	return Options{Dir: dir, SegmentBytes: minSegmentBytes, SnapshotBytes: 256 << 10}
}

// killChild commits until it is killed: workers that each count in two keys.
func killChild(t *testing.T, dir string) {
	s, err := Open(killOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	if err := s.Start(r); err != nil {
		t.Fatal(err)
	}
	var joined sync.WaitGroup
	for w := range killWorkers {
		joined.Go(func() { countUp(t, s, r, strconv.Itoa(w)) })
	}
	joined.Wait()
}

func countUp(t *testing.T, s *Store, r *recorder, worker string) {
	_, entries, _ := r.snapshot()
	counter, witness := "/counter/"+worker, "/witness/"+worker
	mod, n := entries[counter].ModRevision, number64(entries[counter])
	type result struct {
		outcome store.Outcome
		err     error
	}
	answers := make(chan result, 1)
	for {
		n++
		value := []byte(fmt.Sprint(n) + strings.Repeat("x", int(n*37%900)))
		s.Propose(store.Mutation{
			Guards: []store.Guard{{Key: counter, Revision: mod}, {Key: witness, Revision: mod}},
			Puts:   []store.Put{{Key: counter, Value: value}, {Key: witness, Value: value}},
		}, func(o store.Outcome, err error) { answers <- result{o, err} })
		a := <-answers
		if a.err != nil || !a.outcome.Committed() {
			t.Errorf("worker %s at %d: %+v %v", worker, n, a.outcome, a.err)
			return
		}
		mod = a.outcome.Revision
		// One write to the pipe: it arrives whole or not at all.
		if _, err := fmt.Fprintf(os.Stdout, "ok %s %d\n", worker, n); err != nil {
			return
		}
	}
}
