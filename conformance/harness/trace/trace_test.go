package trace

import (
	"strings"
	"testing"
)

func same(text string) string { return text }

func event(t *testing.T, text string) Event {
	t.Helper()
	_, e, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const delta = `{"on":"s1","event":"delta","count":1,"intent":"PRESENT","unverified":false,"about":{"revision":"7","text":"why"},
	"upserted":[{"key":"shop/pay/a","weight":"2","metadata":{"x":"y"},"about":{"incarnation":"5"}}],"removed":[{"key":"shop/pay/b","reason":"EXPIRED"}]}`

func TestLinesOfTesteesAreRead(t *testing.T) {
	got := event(t, delta).String()
	if want := "delta count=1 intent=PRESENT +shop/pay/a{metadata.x=y,weight=2} -shop/pay/b:EXPIRED"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	id, e, err := Parse([]byte(`{"id":3,"error":{"reason":"NO_SERVER","retryable":true,"about":{"text":"no"}}}`))
	if err != nil || id != 3 || e.Kind != "error" || e.String() != "error reason=NO_SERVER retryable=yes" {
		t.Errorf("%d %s %v", id, e, err)
	}
	e = event(t, `{"on":"r1","event":"status","state":"ACTIVE","error":{"reason":"X","about":{"text":"no"}}}`)
	if e.Channel != "r1" || e.String() != "status error.reason=X state=ACTIVE" {
		t.Errorf("an event with an error: %s", e)
	}
	for _, wrong := range []string{"", "[]", "{}", `{"on":"s1"}`, `{"on":"s","event":"delta","upserted":[{"weight":1}]}`} {
		if _, _, err = Parse([]byte(wrong)); err == nil {
			t.Errorf("%s was accepted", wrong)
		}
	}
}

func TestPatternsMatchWhatTheyName(t *testing.T) {
	e := event(t, delta)
	for text, ok := range map[string]bool{
		"delta +shop/pay/a -shop/pay/b:EXPIRED":                           true,
		"delta +shop/pay/a{weight=2,metadata.x=y} -shop/pay/b":            true,
		"delta +shop/pay/a -shop/pay/b:DEREGISTERED|EXPIRED":              true,
		"delta +shop/pay/a -shop/pay/b intent=PRESENT revision=7 count<2": true,
		"delta +shop/pay/a -shop/pay/b text~^w unverified=no":             true,
		"delta +shop/pay/a -shop/pay/b:DEREGISTERED":                      false,
		"delta +shop/pay/a":                             false,
		"delta -shop/pay/b":                             false,
		"delta +shop/pay/a +shop/pay/c -shop/pay/b":     false,
		"delta +shop/pay/a{weight=3} -shop/pay/b":       false,
		"delta +shop/pay/a -shop/pay/b count>1":         false,
		"delta +shop/pay/a -shop/pay/b intent!=PRESENT": false,
		"snapshot +shop/pay/a -shop/pay/b":              false,
	} {
		p, err := ParseEvent(strings.Fields(text))
		if err != nil {
			t.Fatal(err)
		}
		if wrong := p.Mismatch(e, same); (wrong == "") != ok {
			t.Errorf("%s: %q", text, wrong)
		}
	}
}

func TestStateAddsUpAndContradictionsAreFound(t *testing.T) {
	s := NewState()
	add := func(text string) error { return s.Add(event(t, text)) }
	if err := add(`{"on":"s","event":"snapshot","count":1,"unverified":true,"upserted":[{"key":"a/b/c"}]}`); err != nil {
		t.Fatal(err)
	}
	if err := add(`{"on":"s","event":"delta","count":1,"upserted":[{"key":"a/b/d"}],"removed":[{"key":"a/b/c","reason":"EXPIRED"}]}`); err != nil {
		t.Fatal(err)
	}
	reached, err := ParseState([]string{"a/b/d", "unverified=no"})
	if wrong := reached.Mismatch(s.Now(), same); err != nil || wrong != "" {
		t.Errorf("%s %v", wrong, err)
	}
	if err := add(`{"on":"s","event":"delta","count":0,"removed":[{"key":"a/b/c","reason":"EXPIRED"}]}`); err == nil {
		t.Error("what was not there left")
	}
	if err := add(`{"on":"s","event":"delta","count":3,"upserted":[{"key":"a/b/e"}]}`); err == nil {
		t.Error("a wrong count was accepted")
	}
}

func TestAStateRemembersWhyInstancesLeft(t *testing.T) {
	s := NewState()
	for _, text := range []string{
		`{"on":"s","event":"snapshot","upserted":[{"key":"x/y/a"},{"key":"x/y/b"}],"count":2}`,
		`{"on":"s","event":"delta","removed":[{"key":"x/y/a","reason":"EXPIRED"},{"key":"x/y/b","reason":"DEREGISTERED"}]}`,
		`{"on":"s","event":"delta","upserted":[{"key":"x/y/b"}],"count":1}`,
	} {
		if err := s.Add(event(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	for words, want := range map[string]bool{
		"x/y/b": true, "x/y/b -x/y/a:EXPIRED": true, "x/y/b -x/y/a:DEREGISTERED": false, "x/y/b -x/y/b:DEREGISTERED": false,
	} {
		p, err := ParseState(strings.Fields(words))
		if err != nil {
			t.Fatal(err)
		}
		if wrong := p.Mismatch(s.Now(), func(text string) string { return text }); (wrong == "") != want {
			t.Errorf("%s: %q", words, wrong)
		}
	}
}

func TestOfAMomentOnlyWhatIsNamedIsCompared(t *testing.T) {
	p, err := ParseState([]string{"shop/pay/a{weight=2}", "intent=PRESENT", "freshness=FRESH"})
	if err != nil {
		t.Fatal(err)
	}
	e := event(t, `{"on":"s","event":"delta","upserted":[{"key":"shop/pay/a","weight":"2","zone":"z"}],"count":1,"intent":"PRESENT","about":{"freshness":"FRESH"}}`)
	want := "delta intent=PRESENT +shop/pay/a{weight=2}"
	if got := (&Names{}).Canonical(p.Named(e), p.NamesText()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestStatusesThatSayNothingNewRepeat(t *testing.T) {
	s := NewState()
	active := `{"on":"r","event":"status","state":"ACTIVE","about":{"incarnation":"4"}}`
	if err := s.Add(event(t, active)); err != nil {
		t.Fatal(err)
	}
	if !s.Repeats(event(t, active)) || s.Repeats(event(t, strings.Replace(active, "4", "5", 1))) {
		t.Error("a status repeats if state, reason and incarnation are the same, and only then")
	}
}

func TestTextsAreComparedWithoutWhatDiffersFromRunToRun(t *testing.T) {
	n := &Names{}
	n.Know("127.0.0.1:7070", "$server")
	n.Know("127.0.0.1:70701", "$server2")
	got := n.Text("server 127.0.0.1:7070 and 127.0.0.1:70701, not 127.0.0.1:33333: 3 attempts in 1.9s, the last 1.5s ago; lease 9f3c at epoch 7, revision 12; use AdvertiseFrom(listener) or TLS")
	want := "server $server and $server2, not loopback:{port}: {n} attempts in {time}, the last; lease {id} at epoch {n}, revision {n}; use advertise_from(listener) or tls"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got = n.Resolve("$server2,$server"); got != "127.0.0.1:70701,127.0.0.1:7070" {
		t.Errorf("resolved to %s", got)
	}
}
