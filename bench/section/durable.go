package section

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/payload"
)

// durable is a server whose data outlives it.
type durable struct {
	drive.Server
	target drive.Target
	config drive.Config
}

// durable starts a server of the named target, in a new directory. It is nil
// if the run leaves the target out.
func (r *Run) durable(ctx context.Context, name string, c drive.Config) (*durable, error) {
	for _, t := range r.Targets {
		if t.Name() != name {
			continue
		}
		dir, err := os.MkdirTemp(r.Dir, name+"-")
		if err != nil {
			return nil, fmt.Errorf("make a data directory: %w", err)
		}
		c.Dir, c.Unready = dir, true
		d := &durable{target: t, config: c}
		if err := d.start(ctx, 0); err != nil {
			return nil, errors.Join(err, d.Close())
		}
		return d, nil
	}
	return nil, nil //nolint:nilnil // there is none, which is no error
}

// start starts a server on the directory and returns when it answered a lookup
// of the first service, with so many instances.
func (d *durable) start(ctx context.Context, instances int) error {
	s, err := d.target.Start(ctx, d.config)
	if err != nil {
		return fmt.Errorf("start %s: %w", d.target.Name(), err)
	}
	d.Server = s
	reader := s.(drive.Reader)
	if err := reader.Await(ctx); err != nil {
		return errors.Join(err, s.Process().Err())
	}
	for {
		err := reader.Complete(ctx, 0, 0, instances)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Since(s.Process().Started()) > time.Minute {
			return errors.Join(fmt.Errorf("%s did not answer: %w", d.target.Name(), err), s.Process().Err())
		}
	}
}

// comeback is what a restart took.
type comeback struct {
	// took is the time from exec to the first lookup of a whole service; cpu is
	// what the server used until then.
	took, cpu time.Duration
}

// crash kills the server with SIGKILL and starts another on the same data.
func (d *durable) crash(ctx context.Context, held int) (comeback, error) {
	if err := errors.Join(d.Process().Kill(), d.Server.Close()); err != nil {
		return comeback{}, err
	}
	if err := d.start(ctx, min(held, payload.ServiceInstances)); err != nil {
		return comeback{}, err
	}
	took := time.Since(d.Process().Started())
	cpu, err := d.Process().CPU()
	return comeback{took: took, cpu: cpu}, err
}

// Close ends the server and removes its data.
func (d *durable) Close() error {
	var err error
	if d.Server != nil {
		err = d.Server.Close()
	}
	return errors.Join(err, os.RemoveAll(d.config.Dir))
}
