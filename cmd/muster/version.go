package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// protocolVersion is the version of the protocol that the command line speaks.
const protocolVersion = 1

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Long:  `Print the version of this program. "muster info" prints that of a running server.`,
		Args:  arguments(0, 0, "muster version"),
		RunE: a.runE(func(context.Context, []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if !a.output.json {
				fmt.Fprintf(a.out, "muster %s (protocol %d, %s, %s)\n", a.version, protocolVersion, runtime.Version(), platform)
				return nil
			}
			return json.NewEncoder(a.out).Encode(map[string]any{
				"version": a.version, "protocol": protocolVersion, "go": runtime.Version(), "platform": platform,
			})
		}),
	}
}
