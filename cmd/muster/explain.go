package main

import (
	"regexp"
	"strings"

	"github.com/muster-registry/muster/docs"
)

// explanation is what one kind of error text means.
type explanation struct {
	// pattern finds the kind; it is compared in lower case.
	pattern *regexp.Regexp
	text    string
}

// foreign are texts that other programs print when Muster is set up wrongly,
// most specific first.
var foreign = []explanation{
	{
		regexp.MustCompile(`produced zero addresses|dns:///muster:|no such host.*muster:`),
		`grpc.NewClient was given a "muster:///..." target but does not know the scheme, so it asked DNS for it.
Make the channel with mustergrpc.NewClient(client, "muster:///namespace/service"); nothing needs to be registered globally.`,
	},
	{
		regexp.MustCompile(`first record does not look like a tls handshake|speaks plaintext|wrong_version_number|invalidcontenttype`),
		`One side speaks TLS and the other plaintext. Give the client TLS exactly if the server has certificates;
for an instance's endpoint, register it with the security that it really has.`,
	},
	{
		regexp.MustCompile(`error reading server preface|server preface|http/1\.[01]`),
		`What answered does not speak gRPC: another program has the port, a proxy answers for it, or the server expects TLS.`,
	},
	{
		regexp.MustCompile(`x509: certificate|certificate is valid for|notvalidforname|unknownissuer|unknown authority`),
		`The certificate does not fit: it is for other names than the one dialled, or its issuer is not among the trusted
authorities. Set the server name that the certificate has, or the CA that issued it.`,
	},
	{
		regexp.MustCompile(`connection refused|connectionrefused`),
		`Nobody listens at that address. If it is a registry server: is "muster server" running, and on that host and port?
If it is an instance: it registered before it listened, or it died and its lease has not lapsed yet.`,
	},
	{
		regexp.MustCompile(`i/o timeout|deadline exceeded|timed out`),
		`No answer in time: a firewall that drops packets, an address of another network, or a server under too much load.`,
	},
}

var reasonInBrackets = regexp.MustCompile(`\[([A-Z][A-Z0-9_]+)\]`)

// explain says what an error text means; ok is false if nothing is known.
func explain(text string) (meaning string, ok bool) {
	var parts []string
	seen := map[string]bool{}
	for _, match := range reasonInBrackets.FindAllStringSubmatch(text, -1) {
		if reason := match[1]; !seen[reason] {
			seen[reason] = true
			if row, found := reasonRow(reason); found {
				parts = append(parts, row)
			}
		}
	}
	lower := strings.ToLower(text)
	for _, e := range foreign {
		if e.pattern.MatchString(lower) {
			parts = append(parts, e.text)
			break
		}
	}
	return strings.Join(parts, "\n\n"), len(parts) > 0
}

// reasonRow is what docs/errors.md says of a reason.
func reasonRow(reason string) (string, bool) {
	for line := range strings.Lines(docs.Errors) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) < 5 || strings.Trim(cells[0], " `") != reason {
			continue
		}
		return reason + " (gRPC " + strings.TrimSpace(cells[1]) + ")\n" +
			"  retryable:            " + plain(cells[2]) + "\n" +
			"  the client:           " + plain(cells[3]) + "\n" +
			"  what you should do:   " + plain(cells[4]), true
	}
	return "", false
}

var link = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

// plain is a cell of a table without its marks.
func plain(cell string) string {
	return strings.TrimSpace(strings.ReplaceAll(link.ReplaceAllString(cell, "$1"), "`", ""))
}
