package rules

import (
	"fmt"
	"slices"
	"strings"
)

// Settings are what environment variables say. A field is empty if its
// variable is unset or empty; explicit options of a program win over all.
type Settings struct {
	// Servers of the registry, host:port or host:port@zone (MUSTER_SERVERS).
	Servers []string
	// Name of the client, for people (MUSTER_NAME).
	Name string
	// TTLMs of leases (MUSTER_TTL).
	TTLMs int64
	// GracePeriodMs is what the process has between being told to stop and being
	// killed (MUSTER_GRACE_PERIOD).
	GracePeriodMs int64
	// TLSCA, TLSCert and TLSKey are files (MUSTER_TLS_CA, MUSTER_TLS_CERT,
	// MUSTER_TLS_KEY), TLSServerName the name that certificates must show
	// (MUSTER_TLS_SERVER_NAME).
	TLSCA, TLSCert, TLSKey, TLSServerName string
	// TokenFile holds the token (MUSTER_TOKEN_FILE).
	TokenFile string
	// CacheDir keeps views (MUSTER_CACHE_DIR).
	CacheDir string
	// Region and Zone are where this process runs (MUSTER_REGION, MUSTER_ZONE).
	Region, Zone string
	// Overrides replace services (MUSTER_OVERRIDE).
	Overrides []Override
	// Unknown are the variables that begin with MUSTER_ and mean nothing,
	// sorted: most likely misspelt.
	Unknown []string
}

// Variable is one environment variable.
type Variable struct {
	Name, Value string
}

// The bounds of the TTL of leases.
const (
	ShortestTTLMs = 1_000
	LongestTTLMs  = 3_600_000
)

const (
	variablePrefix = "MUSTER_"
	longestClient  = 128
)

// ParseEnvironment reads the variables that concern a client; of one that
// occurs twice the last counts. The error names the variable, its value and what
// is allowed.
func ParseEnvironment(variables []Variable) (Settings, error) {
	var s Settings
	values := make(map[string]string, len(variables))
	for _, v := range variables {
		values[v.Name] = v.Value
	}
	for name, value := range values {
		if known := settingOf(&s, name) != nil || slices.Contains(otherVariables, name); !known && strings.HasPrefix(name, variablePrefix) && value != "" {
			s.Unknown = append(s.Unknown, name)
		}
	}
	slices.Sort(s.Unknown)
	for _, name := range plainVariables {
		*settingOf(&s, name) = values[name]
	}
	for _, parse := range []func(*Settings, map[string]string) error{parseServers, parseDurations, parseOverrideVariable, checkSettings} {
		if err := parse(&s, values); err != nil {
			return Settings{}, err
		}
	}
	return s, nil
}

// plainVariables are taken as they are, otherVariables are not: they are parsed,
// or another rule reads them (Advertise).
var (
	plainVariables = []string{
		"MUSTER_NAME", "MUSTER_TLS_CA", "MUSTER_TLS_CERT", "MUSTER_TLS_KEY", "MUSTER_TLS_SERVER_NAME",
		"MUSTER_TOKEN_FILE", "MUSTER_CACHE_DIR", "MUSTER_REGION", "MUSTER_ZONE",
	}
	otherVariables = []string{"MUSTER_SERVERS", "MUSTER_TTL", "MUSTER_GRACE_PERIOD", "MUSTER_OVERRIDE", advertiseVariable}
)

// settingOf is the field of a variable that is taken as it is; nil for others.
func settingOf(s *Settings, variable string) *string {
	switch variable {
	case "MUSTER_NAME":
		return &s.Name
	case "MUSTER_TLS_CA":
		return &s.TLSCA
	case "MUSTER_TLS_CERT":
		return &s.TLSCert
	case "MUSTER_TLS_KEY":
		return &s.TLSKey
	case "MUSTER_TLS_SERVER_NAME":
		return &s.TLSServerName
	case "MUSTER_TOKEN_FILE":
		return &s.TokenFile
	case "MUSTER_CACHE_DIR":
		return &s.CacheDir
	case "MUSTER_REGION":
		return &s.Region
	case "MUSTER_ZONE":
		return &s.Zone
	default:
		return nil
	}
}

func parseServers(s *Settings, values map[string]string) error {
	text := values["MUSTER_SERVERS"]
	if text == "" {
		return nil
	}
	for part := range strings.SplitSeq(text, ",") {
		server := strings.Trim(part, " ")
		if _, err := ParseServer(server); err != nil {
			return variableError("MUSTER_SERVERS", text, err.Error())
		}
		s.Servers = append(s.Servers, server)
	}
	return nil
}

func parseDurations(s *Settings, values map[string]string) (err error) {
	if s.TTLMs, err = parseDuration(values, "MUSTER_TTL", ShortestTTLMs, LongestTTLMs, "1s to 1h"); err != nil {
		return err
	}
	s.GracePeriodMs, err = parseDuration(values, "MUSTER_GRACE_PERIOD", ShortestGraceMs, LongestGraceMs, "3s to 24h")
	return err
}

// parseDuration reads a number and its unit, such as 15s, as milliseconds; 0 if
// the variable is empty.
func parseDuration(values map[string]string, variable string, least, most uint64, allowed string) (int64, error) {
	text := values[variable]
	if text == "" {
		return 0, nil
	}
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	unit := map[string]uint64{"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}[text[len(digits):]]
	n, err := parseNumber(digits)
	if err != nil || n > most || n*unit < least || n*unit > most {
		return 0, variableError(variable, text, "use "+allowed+": a whole number and ms, s, m or h")
	}
	return int64(n * unit), nil //nolint:gosec // at most a day
}

func parseOverrideVariable(s *Settings, values map[string]string) (err error) {
	text := values["MUSTER_OVERRIDE"]
	if s.Overrides, err = ParseOverrides(text); err != nil {
		return variableError("MUSTER_OVERRIDE", text, err.Error())
	}
	return nil
}

func checkSettings(s *Settings, _ map[string]string) error {
	switch {
	case len(s.Name) > longestClient || !consistsOf(s.Name, isPrintable):
		return variableError("MUSTER_NAME", s.Name, "use at most 128 printable ASCII characters")
	case len(s.Region) > longestName:
		return variableError("MUSTER_REGION", s.Region, "use at most 63 bytes")
	case len(s.Zone) > longestName:
		return variableError("MUSTER_ZONE", s.Zone, "use at most 63 bytes")
	case s.TLSCert != "" && s.TLSKey == "":
		return variableError("MUSTER_TLS_CERT", s.TLSCert, "set MUSTER_TLS_KEY as well")
	case s.TLSKey != "" && s.TLSCert == "":
		return variableError("MUSTER_TLS_KEY", s.TLSKey, "set MUSTER_TLS_CERT as well")
	default:
		return nil
	}
}

func isPrintable(c byte) bool { return c >= ' ' && c <= '~' }

func variableError(variable, value, problem string) error {
	return fmt.Errorf("environment variable %s is %s: %s", variable, Quote(value), problem)
}
