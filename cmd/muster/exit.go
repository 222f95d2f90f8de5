package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitRefused     = 4
	exitUnavailable = 5
	exitInterrupted = 130
)

// exitCodes are what they mean. docs/operations.md shows the same; a test
// compares the two.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitOK, "done"},
	{exitError, "any other error; a server that could not start or had to stop"},
	{exitUsage, "the command line, the configuration or a value is wrong; nothing was changed"},
	{exitNotFound, "no such instance, service or lease"},
	{exitRefused, "refused: exists already, fenced, not permitted, above a limit, not served"},
	{exitUnavailable, "no server answered, time ran out, or the server is overloaded; try again"},
	{exitInterrupted, "interrupted by Ctrl-C or SIGTERM before it was done, or by a second one"},
}

func exitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Exit codes of all commands:\n\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "  %3d  %s\n", e.code, e.meaning)
	}
	b.WriteString(`
"muster server" and "muster register" run until they are told to stop; they end
with 0 after a clean stop. "muster get" ends with 3 when it finds no instance.`)
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: b.String()}
}
