package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/validate"
)

const docs = "../../docs/"

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(docs + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExamplesAreUpToDate(t *testing.T) {
	page := readDoc(t, "protocol.md")
	want, err := insert(page, examples(vectors))
	if err != nil {
		t.Fatal(err)
	}
	if page != want {
		t.Error("the examples of docs/protocol.md are out of date; run: go run ./conformance/gen conformance/vectors docs/protocol.md")
	}
}

// TestRulesHaveIDs checks that every MUST has an id in its paragraph, that no
// id is given twice, and that ids name the section that they are in.
func TestRulesHaveIDs(t *testing.T) {
	seen := map[string]bool{}
	id := regexp.MustCompile(`\*\*M([0-9]+)[0-9.]*[a-z]\*\*`)
	for _, section := range strings.Split(readDoc(t, "protocol.md"), "\n## ")[1:] {
		number, _, _ := strings.Cut(section, " ")
		for _, m := range id.FindAllStringSubmatch(section, -1) {
			if seen[m[0]] || m[1] != number {
				t.Errorf("id %s in section %s is given twice, or is not of it", m[0], number)
			}
			seen[m[0]] = true
		}
		for _, paragraph := range regexp.MustCompile(`\n\n|\n(?:[0-9]+\. |- |\| )`).Split(section, -1) {
			if strings.Contains(paragraph, "MUST") && !id.MatchString(paragraph) {
				t.Errorf("a MUST without id in section %s: %.80s", number, paragraph)
			}
		}
	}
	if len(seen) < 60 {
		t.Errorf("only %d ids", len(seen))
	}
}

// TestEveryReasonIsDocumented compares docs/errors.md with the contract and
// with the codes that servers give.
func TestEveryReasonIsDocumented(t *testing.T) {
	rows := map[string][]string{}
	for line := range strings.SplitSeq(readDoc(t, "errors.md"), "\n") {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `") {
			name := strings.Trim(cells[0], "| `")
			if rows[name] != nil || len(cells) < 5 {
				t.Errorf("row of %s occurs twice or is short", name)
			}
			rows[name] = cells
		}
	}
	for number, name := range musterv1.ErrorReason_name {
		if number == 0 {
			continue
		}
		reason := musterv1.ErrorReason(number)
		row := rows[strings.TrimPrefix(name, "ERROR_REASON_")]
		if row == nil {
			t.Errorf("%s has no row", name)
			continue
		}
		given := strings.ReplaceAll(row[1], "_", "")
		if want := fault.Code(reason).String(); number < 50 && !strings.EqualFold(given, want) {
			t.Errorf("%s is documented with code %s, servers give %s", name, row[1], want)
		}
		delete(rows, strings.TrimPrefix(name, "ERROR_REASON_"))
	}
	for name := range rows {
		t.Errorf("%s is no reason of the contract", name)
	}
}

func TestEveryFeatureIsDocumented(t *testing.T) {
	page := readDoc(t, "protocol.md")
	for _, name := range validate.AllFeatures() {
		if !strings.Contains(page, "\n| `"+name+"` |") {
			t.Errorf("feature %s has no row in section 9", name)
		}
	}
}

// TestLinksWithinDocs checks links to headings of the two pages.
func TestLinksWithinDocs(t *testing.T) {
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(readDoc(t, "protocol.md"), -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		anchors[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	for _, page := range []string{"protocol.md", "errors.md"} {
		for _, link := range regexp.MustCompile(`\]\((?:protocol\.md)?#([^)]*)\)`).FindAllStringSubmatch(readDoc(t, page), -1) {
			if !anchors[link[1]] {
				t.Errorf("%s links to #%s, which is no heading", page, link[1])
			}
		}
	}
}
