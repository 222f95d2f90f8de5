package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// app is one run of the program, and what the run depends on.
type app struct {
	out, err io.Writer
	environ  []string
	// root tells whether the process may write where the system keeps state.
	root    bool
	version string
	// zone is the time zone in which people read times.
	zone *time.Location
	// dial opens connections to the registry; nil is TCP.
	dial func(ctx context.Context, address string) (net.Conn, error)

	// What the persistent flags say.
	servers []string
	timeout time.Duration
	output  outputFormat
}

// run runs one command line and returns the exit code. It says on stderr what
// went wrong.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand() //nolint:contextcheck // cobra hands the context to each command
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var failed *failure
	if !errors.As(err, &failed) {
		// What no command returned is cobra's word on the command line.
		failed = &failure{code: exitUsage, text: usageText(err, cmd)}
	}
	if failed.text != "" {
		a.say("muster: %s", failed.text)
	}
	if ctx.Err() != nil && failed.code != exitOK {
		return exitInterrupted
	}
	return failed.code
}

// say writes a line for people.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// env is the value of an environment variable; empty if it is not set.
func (a *app) env(name string) string {
	value := ""
	for _, entry := range a.environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// runE makes a function that runs a command one that cobra takes.
func (a *app) runE(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := a.finishFlags(cmd); err != nil {
			return asFailure(err)
		}
		if err := f(cmd.Context(), args); err != nil {
			return asFailure(err)
		}
		return nil
	}
}
