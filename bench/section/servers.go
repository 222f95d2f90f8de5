package section

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"

	"github.com/muster-registry/muster/bench/drive"
)

// Servers are running servers, in the order of their targets.
type Servers struct {
	list []Named
	dirs []string
}

// Named is a server and the name of its target.
type Named struct {
	drive.Server
	Name string
}

// Start starts a server of each target, or of those that are named, each in a
// directory of its own. The caller must close them. The shared servers end
// first, so as not to disturb.
func (r *Run) Start(ctx context.Context, c drive.Config, names ...string) (*Servers, error) {
	if err := r.CloseShared(); err != nil {
		return nil, err
	}
	s := &Servers{}
	var targets []drive.Target
	for _, t := range r.Targets {
		if len(names) > 0 && !slices.Contains(names, t.Name()) {
			continue
		}
		dir, err := os.MkdirTemp(r.Dir, t.Name()+"-")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make a data directory: %w", err), s.Close())
		}
		s.dirs = append(s.dirs, dir)
		targets = append(targets, t)
	}
	if err := s.start(ctx, c, targets); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// start starts the targets at once: some take a second.
func (s *Servers) start(ctx context.Context, c drive.Config, targets []drive.Target) error {
	s.list = make([]Named, len(targets))
	errs := make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() {
			own := c
			own.Dir = s.dirs[i]
			server, err := t.Start(ctx, own)
			if err != nil {
				errs[i] = fmt.Errorf("start %s: %w", t.Name(), err)
				return
			}
			s.list[i] = Named{Server: server, Name: t.Name()}
		})
	}
	wg.Wait()
	s.list = slices.DeleteFunc(s.list, func(n Named) bool { return n.Server == nil })
	return errors.Join(errs...)
}

// Shared are the servers that all sections of unary calls and keepalives use,
// one after the other, with UnaryConns connections each. They run until other
// servers start, or CloseShared.
func (r *Run) Shared(ctx context.Context) (*Servers, error) {
	if r.shared == nil {
		servers, err := r.Start(ctx, drive.Config{
			Conns: UnaryConns, Flags: map[string]string{"limits.instances-per-lease": strconv.Itoa(batchSize)},
		})
		if err != nil {
			return nil, err
		}
		r.shared, r.filled = servers, map[string]bool{}
	}
	return r.shared, nil
}

// CloseShared ends what sections share, if it runs.
func (r *Run) CloseShared() error {
	err := r.closeLadder()
	if r.shared == nil {
		return err
	}
	shared := r.shared
	r.shared = nil
	return errors.Join(err, shared.Close())
}

// All are the servers.
func (s *Servers) All() []Named { return s.list }

// Find is the server of a target, if it runs.
func (s *Servers) Find(name string) (Named, bool) {
	for _, n := range s.list {
		if n.Name == name {
			return n, true
		}
	}
	return Named{}, false
}

// Get is the server of a target, or nil.
func (s *Servers) Get(name string) drive.Server {
	n, _ := s.Find(name)
	return n.Server
}

// Close ends the servers and removes their data.
func (s *Servers) Close() error {
	var err error
	for _, n := range s.list {
		err = errors.Join(err, n.Close())
	}
	for _, dir := range s.dirs {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}
