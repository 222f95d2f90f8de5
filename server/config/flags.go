package config

import (
	"github.com/knadh/koanf/providers/posflag"
	"github.com/spf13/pflag"
)

// FileFlag is the flag that names the configuration file.
const FileFlag = "config"

// AddFlags adds a flag for each setting, and --config.
func AddFlags(flags *pflag.FlagSet) {
	flags.String(FileFlag, "", "YAML file with settings (environment: "+EnvFile+")")
	c := defaults()
	c.DataDir = defaultDataDir
	for _, s := range settings() {
		flags.Var(&flagText{text: s.show(&c), kind: s.kind}, s.flag(), s.meaning)
	}
}

// defaultDataDir is the default of data-dir as people read it.
const defaultDataDir = "/var/lib/muster for root, else $XDG_STATE_HOME/muster or ~/.local/state/muster"

// flagText is a flag that takes any text: what is wrong with it is reported
// together with everything else.
type flagText struct{ text, kind string }

// String implements pflag.Value.
func (f *flagText) String() string { return f.text }

// Set implements pflag.Value.
func (f *flagText) Set(text string) error {
	f.text = text
	return nil
}

// Type implements pflag.Value.
func (f *flagText) Type() string { return f.kind }

// fromFlags reads the layer of the flags that were given.
func fromFlags(flags *pflag.FlagSet, known []setting) (*layer, error) {
	l := &layer{places: map[string]string{}}
	names := map[string]string{}
	for i := range known {
		names[known[i].flag()] = known[i].name
	}
	provider := posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
		name, ok := names[f.Name]
		if !ok || !f.Changed {
			return "", nil
		}
		l.places[name] = "flag --" + f.Name
		return name, f.Value.String()
	})
	return l, l.load(provider, nil)
}
