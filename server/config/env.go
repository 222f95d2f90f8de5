package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"

	"github.com/muster-registry/muster/server/config/similar"
)

const (
	// EnvPrefix begins the name of every environment variable of a server.
	EnvPrefix = "MUSTER_SERVER_"
	// EnvFile names the configuration file, like --config.
	EnvFile = EnvPrefix + "CONFIG"
)

// Kubernetes sets variables in every pod for each Service there is. Those of
// a Service whose name begins with "muster-server" are none of ours.
var kubernetesVariable = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)

// fromKubernetes tells whether a variable is one that Kubernetes sets. Those
// that end in _PORT hold a URL; a MUSTER_SERVER_PORT=7070 is somebody's mistake.
func fromKubernetes(name, value string) bool {
	return kubernetesVariable.MatchString(name) ||
		strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

// fromEnv reads the layer of the environment, and finds unknown names.
func fromEnv(environ []string, known []setting) (*layer, error) {
	l := &layer{places: map[string]string{}}
	names := map[string]string{}
	for _, s := range known {
		names[s.env()] = s.name
	}
	provider := env.Provider(".", env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(variable, value string) (string, any) {
			place := "environment " + variable
			name, ok := names[variable]
			switch {
			case ok:
				l.places[name] = place
			case variable != EnvFile && !fromKubernetes(variable, value):
				l.problems = append(l.problems, unknownVariable(variable, known))
			}
			return name, value
		},
	})
	err := l.load(provider, nil)
	slices.SortFunc(l.problems, func(a, b Problem) int { return strings.Compare(a.Name, b.Name) })
	return l, err
}

func unknownVariable(variable string, known []setting) Problem {
	all := []string{EnvFile}
	for _, s := range known {
		all = append(all, s.env())
	}
	return Problem{
		Name: variable, Place: "environment",
		Text: "there is no such setting; did you mean " + similar.Nearest(variable, all) + "?",
	}
}

// variable is the value of an environment variable; empty if it is not set.
func variable(environ []string, name string) string {
	// The last one wins, as it does for programs that are started with it.
	for _, entry := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
