package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/bench/section"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"-quick", "-section", "lookup,register", "-without", "etcd", "-flag", "a=b=c", "-flag", "d="})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range o.sections {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"lookup", "register"}, names); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "b=c", "d": ""}, o.settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	names = nil
	for _, target := range o.targets() {
		names = append(names, target.Name())
	}
	if diff := cmp.Diff([]string{"limit", "muster"}, names); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		`no section is named "lookups"; those that are: oneworker, `: {"-section", "register,lookups"},
		`"nothing" is not name=value`:                                {"-flag", "nothing"},
		`"serve" is neither a flag nor a server's role`:              {"serve"},
		"-reps 0: at least 1":                                        {"-reps", "0"},
	} {
		if _, err := parse(args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", args, err, want)
		}
	}
}

func TestSectionsAreTold(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range section.All() {
		if s.Name == "" || s.What == "" || s.Measure == nil || seen[s.Name] {
			t.Errorf("section %q lacks something or is there twice", s.Name)
		}
		seen[s.Name] = true
	}
}
