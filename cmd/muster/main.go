// Command muster is the Muster service registry: `muster server` runs one, and
// the other commands talk to it.
//
// What a command was asked for goes to stdout, everything else to stderr.
// `muster help exit-codes` lists the exit codes.
package main

import (
	"os"
	"time"
)

// version is set by the linker; see scripts/build.sh.
var version = "dev"

func main() {
	ctx, stop := untilSignal(os.Exit)
	defer stop()
	a := &app{
		out: os.Stdout, err: os.Stderr, environ: os.Environ(), root: os.Geteuid() == 0,
		version: version, zone: time.Local,
	}
	os.Exit(a.run(ctx, os.Args[1:]))
}
