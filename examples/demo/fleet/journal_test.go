package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestJournalReadsLinesInPieces(t *testing.T) {
	var noticed []string
	j := newJournal(func(e Event) { noticed = append(noticed, e.Event) })
	for _, piece := range []string{`{"event":"ca`, `lls","ok":3}` + "\n" + `not json` + "\n", `{"event":"view"}` + "\n" + `{"ev`} {
		if n, err := j.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", piece, n, err)
		}
	}
	if got := j.Since(0); len(got) != 2 || got[0].OK != 3 || got[1].Event != EventView {
		t.Errorf("events are %v", got)
	}
	if got := j.Strange(); len(got) != 1 || got[0] != "not json" {
		t.Errorf("strange lines are %q", got)
	}
	if strings.Join(noticed, " ") != "calls view" {
		t.Errorf("noticed %q", noticed)
	}
	if got := j.Since(j.Mark() + 5); len(got) != 0 {
		t.Errorf("beyond its end there is %v", got)
	}
}

func TestJournalFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(nil)
		isView := func(e Event) bool { return e.Event == EventView && e.Revision > 1 }
		found := make(chan Event, 1)
		go func() {
			e, err := j.first(t.Context(), 0, "a view", isView)
			if err != nil {
				t.Error(err)
			}
			found <- e
		}()
		for revision := range 4 {
			synctest.Wait()
			fmt.Fprintf(j, `{"event":"view","revision":%d}`+"\n", revision)
		}
		if e := <-found; e.Revision != 2 {
			t.Errorf("found %v", e)
		}
		if e, err := j.first(t.Context(), 3, "a view", isView); err != nil || e.Revision != 3 {
			t.Errorf("from a mark on it found %v, %v", e, err)
		}
	})
}

func TestJournalFirstEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func(Event) bool { return false }
		j := newJournal(nil)
		late := errors.New("too late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, late)
		defer cancel()
		if _, err := j.first(ctx, 0, "a thing", never); !errors.Is(err, late) || !strings.HasPrefix(err.Error(), "a thing: ") {
			t.Errorf("at the deadline: %v", err)
		}
		j.end()
		if _, err := j.first(t.Context(), 0, "a thing", never); err == nil || !strings.Contains(err.Error(), "ended") {
			t.Errorf("at the end: %v", err)
		}
	})
}

func TestSum(t *testing.T) {
	sum := Sum([]Event{
		{Event: EventCalls, OK: 2, ByInstance: map[string]uint64{"a": 1, "b": 1}},
		{Event: EventFailed, Code: "UNAVAILABLE", Reason: "NO_INSTANCES"},
		{Event: EventView, OK: 99},
		{Event: EventFailed, Code: "UNAVAILABLE", Reason: "NO_INSTANCES"},
		{Event: EventCalls, OK: 1, Failed: 2, ByInstance: map[string]uint64{"a": 1}},
	})
	if sum.Made() != 5 || sum.OK != 3 || sum.Failed != 2 || sum.ByInstance["a"] != 2 {
		t.Errorf("sum is %+v", sum)
	}
	if got := sum.Why(); got != "2 x UNAVAILABLE NO_INSTANCES " {
		t.Errorf("why is %q", got)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var stderr tail
	for i := range keptLines + 5 {
		fmt.Fprintf(&stderr, "line %d says something\n", i)
	}
	fmt.Fprint(&stderr, "unfinished")
	text := stderr.text()
	if strings.Count(text, "\n") != tailLines-1 || !strings.HasSuffix(text, "    unfinished") {
		t.Errorf("text is\n%s", text)
	}
	if got := stderr.find("says"); got != "says something" {
		t.Errorf("found %q", got)
	}
	if got := stderr.find("line 4 "); got != "" {
		t.Errorf("still there: %q", got)
	}
}

func TestMessagesOfLogs(t *testing.T) {
	for line, want := range map[string]string{
		`muster: endpoint "grpc" of demo/greeter`:                                                          `muster: endpoint "grpc" of demo/greeter`,
		`time=2026-11-22T19:28:53.650Z level=INFO msg="drained: 1/1 watchers \"x\" in 2ms" registration=a`: `drained: 1/1 watchers "x" in 2ms`,
		`2026-11-22T19:28:53Z  INFO muster_client: drained: 1/1 in 2ms registration=a/b/c`:                 `2026-11-22T19:28:53Z  INFO muster_client: drained: 1/1 in 2ms`,
	} {
		if got := message(line); got != want {
			t.Errorf("the message of\n%s\nis\n%s", line, got)
		}
	}
}
