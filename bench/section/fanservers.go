package section

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/etcd"
	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/limit"
	"github.com/muster-registry/muster/bench/muster"
)

// fanFlags let a connection carry the watch streams that these sections put on it.
var fanFlags = map[string]string{"limits.streams-per-connection": "100000"}

// stage is one server with its audience.
type stage struct {
	Named
	*audience
	dir string
}

// stage starts a server by its name and connects to it. "limit" and "direct"
// are those that only fan out; messages have the given sizes there. It is nil
// if the run leaves the server out.
func (r *Run) stage(ctx context.Context, name string, conns int, sizes limit.FanSizes) (_ *stage, err error) {
	target := r.fanTarget(name, sizes)
	if target == nil {
		return nil, nil
	}
	s := &stage{Named: Named{Name: name}, audience: &audience{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", name, err), s.Close())
		}
	}()
	if s.dir, err = os.MkdirTemp(r.Dir, name+"-"); err != nil {
		return nil, fmt.Errorf("make a data directory: %w", err)
	}
	if s.Server, err = target.Start(ctx, drive.Config{Dir: s.dir, Conns: 1, Flags: fanFlags}); err != nil {
		return nil, err
	}
	switch server := s.Server.(type) {
	case *limit.FanServer:
		s.driver, err = driverOf(server.Fan(conns))
	case *muster.Server:
		s.driver, err = driverOf(server.Fan(conns))
	case *etcd.Server:
		s.driver, err = driverOf(server.Fan(conns))
	default:
		err = fmt.Errorf("a %T has no watchers", server)
	}
	return s, err
}

// driverOf keeps a nil driver from hiding in an interface.
func driverOf[D fan.Driver](d D, err error) (fan.Driver, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (r *Run) fanTarget(name string, sizes limit.FanSizes) drive.Target {
	for _, t := range r.Targets {
		switch {
		case t.Name() == "limit" && (name == "limit" || name == "direct"):
			return limit.FanTarget{Direct: name == "direct", Sizes: sizes}
		case t.Name() == name:
			return t
		}
	}
	return nil
}

// Close ends clients and server, and removes its data.
func (s *stage) Close() error {
	var err error
	s.resume()
	if s.driver != nil {
		err = s.driver.Close()
	}
	if s.Server != nil {
		err = errors.Join(err, s.Server.Close())
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// fanSizes finds out how large Muster's messages about one change are, so that
// the servers without logic send as much.
func (r *Run) fanSizes(ctx context.Context) (sizes limit.FanSizes, err error) {
	s, err := r.stage(ctx, "muster", 1, sizes)
	if err != nil {
		return sizes, err
	}
	if s == nil {
		return limit.FanSizes{Request: 120, Frame: 460}, nil
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.driver.Fill(ctx, 1, 64); err != nil {
		return sizes, err
	}
	m := &meter{}
	bytes := make(chan int, 1)
	if err := s.driver.Watch(ctx, 0, 0, func(f *fan.Frame) { bytes <- f.Bytes }); err != nil {
		return sizes, err
	}
	s.meter.Store(m)
	if err := s.change(ctx, 0, 0, 0); err != nil {
		return sizes, err
	}
	select {
	case sizes.Frame = <-bytes:
	case <-ctx.Done():
		return sizes, ctx.Err()
	}
	sizes.Request = s.driver.(*muster.Fan).ChangeBytes()
	r.Logf("a change takes %d bytes, and a frame that tells of it %d", sizes.Request, sizes.Frame)
	return sizes, nil
}
