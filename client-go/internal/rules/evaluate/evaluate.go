// Package evaluate calls the rules by name with JSON, for the vectors and the
// differential fuzzer. The crate muster-rules has the same under its feature
// "evaluate".
package evaluate

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// table has one entry for each rule, by the name that vectors use; sorted.
var table = []struct {
	name     string
	evaluate func(input []byte) (any, error)
}{
	{"address", address},
	{"advertise", advertise},
	{"backoff", backoff},
	{"budget", budget},
	{"cache_age", cacheAge},
	{"cache_file", cacheFileRule},
	{"cache_room", cacheRoom},
	{"connection", connection},
	{"digest", digest},
	{"environment", environment},
	{"errors", errors},
	{"frames", framesRule},
	{"freshness", freshness},
	{"grace", grace},
	{"keepalive", keepalive},
	{"maglev", maglev},
	{"matching", matching},
	{"outcome", outcome},
	{"outlier", outlier},
	{"pick", pick},
	{"plan", plan},
	{"random", random},
	{"retry", retry},
	{"semver", semver},
	{"semver_order", semverOrder},
	{"servers", servers},
	{"target", target},
	{"usable", usable},
}

// Names are the rules, sorted.
func Names() []string {
	names := make([]string, len(table))
	for i, r := range table {
		names[i] = r.name
	}
	return names
}

// Call evaluates a rule. The error means that the input is not one of that
// rule; what a rule refuses is part of its output.
func Call(rule string, input []byte) ([]byte, error) {
	for _, r := range table {
		if r.name != rule {
			continue
		}
		output, err := r.evaluate(input)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rule, err)
		}
		return json.Marshal(output)
	}
	return nil, fmt.Errorf("there is no rule named %q", rule)
}

// rule makes a table's entry of a function on decoded values. Unknown fields
// are errors: a misspelt field would test nothing.
func rule[In, Out any](evaluate func(In) Out) func([]byte) (any, error) {
	return func(input []byte) (any, error) {
		var in In
		decoder := json.NewDecoder(bytes.NewReader(input))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil {
			return nil, err
		}
		return evaluate(in), nil
	}
}
