// Package config reads the configuration of a server: from flags, the
// environment, a YAML file and defaults, by one rule of precedence, in that
// order.
//
// Every setting has one name. "limits.request-bytes" is the flag
// --limits-request-bytes, the variable MUSTER_SERVER_LIMITS_REQUEST_BYTES and
// the key request-bytes below limits in the file. All wrong values and unknown
// names are reported at once, before anything is opened: see [Error].
package config

import (
	"log/slog"
	"time"

	"github.com/muster-registry/muster/server/validate"
)

// Config is what a server is told. The meaning, bounds and default of each
// field are those of its setting; docs/operations.md shows the table.
type Config struct {
	// Listen is the gRPC address, host:port; port 0 takes any free one.
	Listen string
	// DataDir is the directory of the embedded store.
	DataDir string
	// ShutdownTimeout bounds a graceful stop.
	ShutdownTimeout time.Duration
	// LogLevel is the least severity that is logged.
	LogLevel slog.Level
	// LogFormat is "text" or "json".
	LogFormat string
	// Pprof is the loopback address, host:port, that serves profiles of the
	// process, or PprofOff.
	Pprof string
	// History is how many changes are kept for clients that come back.
	History int
	// Limits are what the server allows its clients.
	Limits validate.Limits
}

// PprofOff is the value of Config.Pprof that serves no profiles.
const PprofOff = "off"

// defaults are the values of settings that nobody set. DataDir is missing: it
// depends on who runs the server.
func defaults() Config {
	return Config{
		Listen:          "127.0.0.1:7070",
		ShutdownTimeout: 10 * time.Second,
		LogLevel:        slog.LevelInfo,
		LogFormat:       "text",
		Pprof:           PprofOff,
		History:         1 << 18,
		Limits:          validate.DefaultLimits(),
	}
}
