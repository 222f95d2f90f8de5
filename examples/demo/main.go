// Command demo shows in half a minute what Muster does when things go wrong. It
// starts a registry server on a temporary folder, four instances of a service
// and two programs that call it, half of them in Go and half in Rust. Then an
// instance drains, an instance is killed, the server is killed and restarted,
// and a new version appears; what each caller sees is told as it happens. It
// exits with 1 if anything does not go as Muster promises.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

// limit bounds the whole demo.
const limit = 60 * time.Second

var (
	errTooLong     = fmt.Errorf("the demo takes longer than %s", limit)
	errInterrupted = errors.New("interrupted; everything is cleaned up")
)

func main() {
	bin := flag.String("bin", ownFolder(), "folder with the programs that \"make build\" makes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	err := run(ctx, *bin)
	switch {
	case err == nil:
	case errors.Is(err, errInterrupted):
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(130)
	default:
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

// ownFolder is where this program lies, and the others beside it.
func ownFolder() string {
	program, err := os.Executable()
	if err != nil {
		return "bin"
	}
	return filepath.Dir(program)
}

// run leaves nothing behind, however it ends: no process and no file.
func run(ctx context.Context, bin string) (err error) {
	f, err := fleet.New(ctx, bin)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "muster-demo-")
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		err = errors.Join(err, os.RemoveAll(folder))
	}()
	say := newNarrator(os.Stdout)
	d := newDemo(f, say)
	err = d.play(folder)
	say.end()
	if err != nil {
		return reason(ctx, f, err)
	}
	d.table(os.Stdout)
	return d.verdict(os.Stdout)
}

// reason is why a play ended early. Whatever the play was waiting for matters
// only if nothing else ended it.
func reason(ctx context.Context, f *fleet.Fleet, err error) error {
	switch cause := context.Cause(f.Context); { //nolint:contextcheck // the fleet knows more than ctx
	case cause == nil, errors.Is(cause, errTooLong):
		return err
	case ctx.Err() != nil:
		return errInterrupted
	default:
		return cause
	}
}
