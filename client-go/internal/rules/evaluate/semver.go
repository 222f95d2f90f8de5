package evaluate

import "github.com/muster-registry/muster/client-go/internal/rules"

type semverInput struct {
	Range    string   `json:"range"`
	Versions []string `json:"versions"`
}

type semverOutput struct {
	Error      string `json:"error"`
	Normalised string `json:"normalised"`
	Matches    []bool `json:"matches"`
}

var semver = rule(func(in semverInput) semverOutput {
	r, err := rules.ParseRange(in.Range)
	out := semverOutput{textOf(err), r.String(), make([]bool, len(in.Versions))}
	for i, v := range in.Versions {
		out.Matches[i] = rules.SemverMatches(in.Range, v)
	}
	return out
})

type semverOrderInput struct {
	Versions []string `json:"versions"`
}

type semverOrderOutput struct {
	Errors []string `json:"errors"`
	// Order compares each version with the one before it.
	Order []int `json:"order"`
}

var semverOrder = rule(func(in semverOrderInput) semverOrderOutput {
	out := semverOrderOutput{make([]string, len(in.Versions)), make([]int, max(len(in.Versions)-1, 0))}
	var before rules.Version
	for i, text := range in.Versions {
		v, err := rules.ParseVersion(text)
		if err != nil {
			v = rules.Version{}
		}
		out.Errors[i] = textOf(err)
		if i > 0 {
			out.Order[i-1] = v.Compare(before)
		}
		before = v
	}
	return out
})

// textOf is an error's text; empty for none.
func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
