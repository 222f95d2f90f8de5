package config

import (
	"fmt"
	"path/filepath"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Sources are where settings come from.
type Sources struct {
	// Flags, parsed, to which AddFlags added.
	Flags *pflag.FlagSet
	// Environ is the environment as of os.Environ.
	Environ []string
	// Root tells whether the process may write where the system keeps state.
	Root bool
}

// Effective is a configuration that holds, and where each value came from.
type Effective struct {
	Config
	places map[string]string
}

// placeDefault is the place of values that nobody set.
const placeDefault = "default"

// layer is what one source says.
type layer struct {
	values   *koanf.Koanf
	places   map[string]string
	problems []Problem
}

func (l *layer) load(provider koanf.Provider, parser koanf.Parser) error {
	l.values = koanf.New(".")
	return l.values.Load(provider, parser)
}

// Load reads all sources: a flag goes before the environment, that before the
// file, and that before the default. It opens nothing but the file. The error
// is an *Error with everything that is wrong.
func Load(s Sources) (*Effective, error) {
	known := settings()
	layers, err := s.layers(known)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	e := &Effective{places: map[string]string{}}
	merged := koanf.New(".")
	var problems []Problem
	for _, l := range layers {
		problems = append(problems, l.problems...)
		if err := merged.Merge(l.values); err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
		for name, place := range l.places {
			e.places[name] = place
		}
	}
	if problems = append(problems, e.take(merged, known, problems)...); len(problems) > 0 {
		return nil, &Error{Problems: problems}
	}
	return e, nil
}

// layers reads all sources, the weakest first.
func (s Sources) layers(known []setting) ([]*layer, error) {
	base, err := fromDefaults(s, known)
	if err != nil {
		return nil, err
	}
	layers := []*layer{base}
	if path := s.file(); path != "" {
		layers = append(layers, fromFile(path, known))
	}
	environment, err := fromEnv(s.Environ, known)
	if err != nil {
		return nil, err
	}
	flags, err := fromFlags(s.Flags, known)
	if err != nil {
		return nil, err
	}
	return append(layers, environment, flags), nil
}

// take reads the values. Settings that are among the problems already are
// passed over: one error for each is enough.
func (e *Effective) take(merged *koanf.Koanf, known []setting, problems []Problem) []Problem {
	bad := map[string]bool{}
	for _, p := range problems {
		bad[p.Name] = true
	}
	var found []Problem
	refuse := func(name, allowed string) {
		value := merged.String(name)
		text := "must be " + allowed
		switch {
		case value == "" && e.places[name] == placeDefault:
			text = "there is none, since HOME is not set; pass --" + name
		case value == "":
			text = "is empty; it " + text
		}
		found = append(found, Problem{Name: name, Value: value, Place: e.places[name], Text: text})
		bad[name] = true
	}
	for _, s := range known {
		if !bad[s.name] && !s.read(&e.Config, merged.String(s.name)) {
			refuse(s.name, s.allowed)
		}
	}
	for _, r := range related {
		if len(bad) == 0 && r.broken(&e.Config) {
			refuse(r.name, r.allowed)
		}
	}
	return found
}

// fromDefaults is the weakest layer.
func fromDefaults(s Sources, known []setting) (*layer, error) {
	c := defaults()
	c.DataDir = s.defaultDataDir()
	values := map[string]any{}
	l := &layer{places: map[string]string{}}
	for i := range known {
		values[known[i].name] = known[i].show(&c)
		l.places[known[i].name] = placeDefault
	}
	return l, l.load(confmap.Provider(values, "."), nil)
}

// defaultDataDir is empty, and so refused, where there is no place for it.
func (s Sources) defaultDataDir() string {
	if s.Root {
		return "/var/lib/muster"
	}
	// The XDG rules say that a relative path counts as none.
	if state := variable(s.Environ, "XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "muster")
	}
	if home := variable(s.Environ, "HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "muster")
	}
	return ""
}

// file is the path of the configuration file; empty if there is none.
func (s Sources) file() string {
	if f := s.Flags.Lookup(FileFlag); f != nil && f.Changed {
		return f.Value.String()
	}
	return variable(s.Environ, EnvFile)
}
