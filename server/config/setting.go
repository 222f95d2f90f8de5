package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setting is one thing that can be configured.
type setting struct {
	// name as in the file, groups separated by dots.
	name string
	// meaning is one line for people.
	meaning string
	// kind names the form of the value in the help of flags.
	kind string
	// allowed says which values are, after "must be".
	allowed string
	// read takes a value over, or refuses it.
	read func(c *Config, text string) bool
	// show is the value as read takes it.
	show func(c *Config) string
}

// group is the part of the name before the last dot; empty for most.
func (s *setting) group() string {
	group, _, found := strings.Cut(s.name, ".")
	if !found {
		return ""
	}
	return group
}

// leaf is the part of the name after the group.
func (s *setting) leaf() string { return strings.TrimPrefix(s.name, s.group()+".") }

// flag is the name of the setting's flag, without dashes.
func (s *setting) flag() string { return strings.ReplaceAll(s.name, ".", "-") }

// env is the name of the setting's environment variable.
func (s *setting) env() string {
	return EnvPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s.name))
}

func word(name string, field func(*Config) *string, kind, allowed, meaning string, valid func(string) bool) setting {
	return setting{
		name: name, meaning: meaning, kind: kind, allowed: allowed,
		read: func(c *Config, text string) bool {
			*field(c) = text
			return valid(text)
		},
		show: func(c *Config) string { return *field(c) },
	}
}

func number(name string, field func(*Config) *int, least, most int, meaning string) setting {
	return setting{
		name: name, meaning: meaning, kind: "number",
		allowed: fmt.Sprintf("a whole number from %d to %d", least, most),
		read: func(c *Config, text string) bool {
			n, err := strconv.Atoi(text)
			*field(c) = n
			return err == nil && n >= least && n <= most
		},
		show: func(c *Config) string { return strconv.Itoa(*field(c)) },
	}
}

func duration(name string, field func(*Config) *time.Duration, least, most time.Duration, meaning string) setting {
	return setting{
		name: name, meaning: meaning, kind: "duration",
		allowed: fmt.Sprintf("a duration from %s to %s in whole milliseconds, such as 1m30s", short(least), short(most)),
		read: func(c *Config, text string) bool {
			d, err := time.ParseDuration(text)
			*field(c) = d
			return err == nil && d >= least && d <= most && d%time.Millisecond == 0
		},
		show: func(c *Config) string { return short(*field(c)) },
	}
}

var levels = []string{"debug", "info", "warn", "error"}

func logLevel() setting {
	return setting{
		name: "log.level", meaning: "least severity that is logged", kind: "level",
		allowed: "debug, info, warn or error",
		read: func(c *Config, text string) bool {
			// UnmarshalText alone would take "INFO" and "info+2" too.
			return slices.Contains(levels, text) && c.LogLevel.UnmarshalText([]byte(text)) == nil
		},
		show: func(c *Config) string { return strings.ToLower(c.LogLevel.String()) },
	}
}

// short writes a duration without parts that are zero: "1h", not "1h0m0s".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func validListen(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsAny(host, "/@ ") {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// validPprof takes loopback addresses only: a profile tells much about a
// process, and taking one slows it down.
func validPprof(text string) bool {
	if text == PprofOff {
		return true
	}
	host, _, err := net.SplitHostPort(text)
	ip := net.ParseIP(host)
	return err == nil && validListen(text) && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func validPath(text string) bool { return text != "" && !strings.ContainsRune(text, 0) }

func validFormat(text string) bool { return text == "text" || text == "json" }
