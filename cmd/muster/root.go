package main

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	defaultServer = "127.0.0.1:7070"
	envServers    = "MUSTER_SERVERS"
	// callTimeout bounds what a command waits for, unless --timeout says otherwise.
	callTimeout = 5 * time.Second
)

// Groups of commands in the help.
const (
	groupServer   = "server"
	groupRegister = "register"
	groupLook     = "look"
)

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "muster",
		Short: "The Muster service registry: its server and its command line",
		Long: `The Muster service registry: its server and its command line.

Start a registry with "muster server", register something with "muster register",
and look at it with "muster get", "muster list" and "muster watch".`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       a.version,
	}
	root.SetVersionTemplate("muster {{.Version}}\n")
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	a.addPersistentFlags(root)
	root.AddGroup(
		&cobra.Group{ID: groupServer, Title: "The registry:"},
		&cobra.Group{ID: groupRegister, Title: "What is registered:"},
		&cobra.Group{ID: groupLook, Title: "Looking:"},
	)
	for _, part := range []struct {
		group    string
		commands []*cobra.Command
	}{
		{groupServer, []*cobra.Command{a.serverCommand(), a.infoCommand(), a.doctorCommand()}},
		{groupRegister, []*cobra.Command{a.registerCommand(), a.updateCommand(), a.drainCommand(), a.deregisterCommand()}},
		{groupLook, []*cobra.Command{a.getCommand(), a.listCommand(), a.watchCommand()}},
		{"", []*cobra.Command{a.versionCommand(), exitCodesTopic()}},
	} {
		for _, c := range part.commands {
			c.GroupID = part.group
			root.AddCommand(c)
		}
	}
	return root
}

func (a *app) addPersistentFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringSliceVar(&a.servers, "server", []string{defaultServer},
		"registry servers, `host:port`, comma-separated; tried in order (environment: "+envServers+")")
	flags.DurationVar(&a.timeout, "timeout", callTimeout, "how long to wait for the registry")
	flags.VarP(&a.output, "output", "o", `"table" for people, "json" for programs`)
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return outputFormats, cobra.ShellCompDirectiveNoFileComp
	}
	if err := root.RegisterFlagCompletionFunc("output", complete); err != nil {
		panic(err) // the flag is right above
	}
}

// finishFlags takes over what the environment says, and checks what flags say.
func (a *app) finishFlags(cmd *cobra.Command) error {
	place := "--server"
	if fromEnv := a.env(envServers); fromEnv != "" && !cmd.Flags().Changed("server") {
		place, a.servers = envServers, strings.Split(fromEnv, ",")
	}
	for i, s := range a.servers {
		if a.servers[i] = strings.TrimSpace(s); place == envServers {
			a.servers[i] = withoutZone(a.servers[i])
		}
		if _, port, err := net.SplitHostPort(a.servers[i]); err != nil || port == "" || strings.Contains(port, "@") {
			return usage("%s: %q is not host:port, such as %s", place, a.servers[i], defaultServer)
		}
	}
	if len(a.servers) == 0 {
		return usage("%s names no server; give at least one, such as %s", place, defaultServer)
	}
	if a.timeout <= 0 {
		return usage("--timeout: %s is not allowed; give a positive duration, such as 5s", a.timeout)
	}
	return nil
}

// withoutZone is the address of a server that clients may find with its zone in
// the variable, host:port@zone. Commands try servers in the order of the list.
func withoutZone(server string) string {
	if at := strings.LastIndexByte(server, '@'); at >= 0 && at < len(server)-1 {
		return server[:at]
	}
	return server
}

// outputFormat is the value of --output; it begins as a table.
type outputFormat struct{ json bool }

var outputFormats = []string{"table", "json"}

// String implements pflag.Value.
func (f *outputFormat) String() string {
	if f.json {
		return "json"
	}
	return "table"
}

// Set implements pflag.Value.
func (f *outputFormat) Set(text string) error {
	if !slices.Contains(outputFormats, text) {
		return fmt.Errorf("use %s", strings.Join(outputFormats, " or "))
	}
	f.json = text == "json"
	return nil
}

// Type implements pflag.Value.
func (f *outputFormat) Type() string { return "format" }
