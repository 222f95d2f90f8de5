package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVariantLosesTheNameOfItsType(t *testing.T) {
	for _, c := range []struct{ constant, of, want string }{
		{"ProtocolGRPC", "Protocol", "GRPC"},
		{"RemovalExpired", "RemovalReason", "Expired"},
		{"SourceSelf", "HealthSource", "Self"},
		{"FaultGap", "FrameFault", "Gap"},
		{"Serving", "Lifecycle", "Serving"},
		{"Fresh", "Freshness", "Fresh"},
		{"Starting", "Start", "Starting"},
	} {
		if got := variant(c.constant, c.of); got != c.want {
			t.Errorf("%s of %s is %s, want %s", c.constant, c.of, got, c.want)
		}
	}
}

func TestKeysForgetHowLanguagesSpell(t *testing.T) {
	for _, c := range []struct {
		item item
		want string
	}{
		{item{"", "TLSConfig", ""}, "tlsconfig"},
		{item{"ClientStatus", "cluster_id", ""}, "clientstatus.clusterid"},
		{item{"ClientStatus", "Err", ""}, "clientstatus.error"},
		{item{"View", "is_unverified", ""}, "view.unverified"},
		{item{"StatsReader", "island", ""}, "statsreader.island"},
	} {
		if got := c.item.key(); got != c.want {
			t.Errorf("key %s, want %s", got, c.want)
		}
	}
}

func TestGoItemsAreReadFromSource(t *testing.T) {
	dir := t.TempDir()
	source := `package p
type Client struct{ Name string; hidden int; Key }
type Key struct{ ID string }
type Event interface{ View() int; event() }
type Kind int
const (
	KindBig Kind = iota + 1
	KindSmall
)
type Option func(*Client)
func WithName(n string) Option { return nil }
func (c *Client) Close() error { return nil }
func (c *Client) String() string { return "" }
func (c *Client) own() {}
func New() *Client { return nil }
`
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	items, err := readGo(dir)
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for _, i := range items {
		keys = append(keys, i.key())
	}
	want := []string{
		"client", "client.close", "client.id", "client.key", "client.name", "clientbuilder.name", "event", "event.view",
		"key", "key.id", "kind", "kind.big", "kind.small", "new", "option",
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if none, err := readGo(filepath.Join(dir, "none")); err != nil || len(none) != 0 {
		t.Errorf("a package that is not there: %v, %v", none, err)
	}
}

func TestRustItemsAreReadFromRustdoc(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.json")
	source := `{"format_version":57,"root":0,"index":{
"0":{"name":"c","visibility":"public","inner":{"module":{"items":[1,2,9]}}},
"1":{"name":null,"visibility":"public","inner":{"use":{"name":"Stats","id":3}}},
"2":{"name":"inside","visibility":"public","inner":{"module":{"items":[8]}}},
"3":{"name":"Stats","visibility":"public","inner":{"struct":{"kind":{"plain":{"fields":[4,5]}},"impls":[6,10]}}},
"4":{"name":"calls","visibility":"public","inner":{"struct_field":{}}},
"5":{"name":"own","visibility":"default","inner":{"struct_field":{}}},
"6":{"name":null,"visibility":"default","inner":{"impl":{"trait":null,"items":[7]}}},
"7":{"name":"is_empty","visibility":"public","inner":{"function":{}}},
"8":{"name":"Event","visibility":"public","inner":{"enum":{"variants":[11,12],"impls":[]}}},
"9":{"name":"secret","visibility":"default","inner":{"struct":{"kind":"unit","impls":[]}}},
"10":{"name":null,"visibility":"default","inner":{"impl":{"trait":{"path":"Clone"},"items":[7]}}},
"11":{"name":"Plain","visibility":"default","inner":{"variant":{"kind":"plain"}}},
"12":{"name":"Rich","visibility":"default","inner":{"variant":{"kind":{"struct":{"fields":[5]}}}}}}}`
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readCrate(path)
	if err != nil {
		t.Fatal(err)
	}
	shown := func(items []item) (list []string) {
		for _, i := range items {
			list = append(list, i.shown)
		}
		slices.Sort(list)
		return list
	}
	if diff := cmp.Diff([]string{"Stats", "Stats::calls", "Stats::is_empty"}, shown(c.items(""))); diff != "" {
		t.Errorf("items of the root (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Event", "Event::Plain", "Event::Rich", "Event::Rich::own"}, shown(c.items("inside"))); diff != "" {
		t.Errorf("items of a module (-want +got):\n%s", diff)
	}
}

func TestDifferencesMustBeExplainedAndExplanationsUsed(t *testing.T) {
	goItems := []item{{"", "Key", "Key"}, {"Key", "ID", "Key.ID"}, {"", "Both", "Both"}, {"", "Odd", "Odd"}, {"", "New", "New"}}
	rustItems := []item{
		{"", "InstanceKey", "InstanceKey"},
		{"InstanceKey", "id", "InstanceKey::id"},
		{"", "Both", "Both"},
		{"Both", "new", "Both::new"},
		{"", "Lone", "Lone"},
		{"Lone", "x", "Lone::x"},
	}
	e := &explanations{
		Renames:  []*rename{{Area: "a", Go: "key", Rust: "instancekey", Why: "short"}, {Area: "a", Go: "gone", Rust: "both"}},
		GoOnly:   []*difference{{Area: "a", Item: "odd", Why: "odd"}, {Area: "b", Item: "new", Why: "elsewhere"}},
		RustOnly: []*difference{{Area: "a", Item: "lone*", Why: "alone"}, {Area: "a", Item: "both", Why: "not any more"}},
	}
	p := pair("a", goItems, rustItems, e)
	if got := unexplained([]page{p}); len(got) != 1 || !strings.Contains(got[0], "only Go has new") {
		t.Errorf("unexplained %q", got)
	}
	if got := e.stale(); len(got) != 3 {
		t.Errorf("stale %q", got)
	}
	text := string(render([]page{p}))
	for _, row := range []string{"| `Key` | `InstanceKey` | short |", "| `Key.ID` | `InstanceKey::id` | short |", "|  | `Lone::x` | alone |"} {
		if !strings.Contains(text, row+"\n") {
			t.Errorf("no row %s in\n%s", row, text)
		}
	}
}
