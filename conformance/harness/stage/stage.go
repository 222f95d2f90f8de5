package stage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-registry/muster/conformance/harness/actor"
	"github.com/muster-registry/muster/conformance/harness/grpcfault"
	"github.com/muster-registry/muster/conformance/harness/netfault"
	"github.com/muster-registry/muster/conformance/harness/trace"
)

// TesteeLog is the file in the stage's folder with the standard error of its
// testees.
const TesteeLog = "testee.log"

// Programs are what stages run.
type Programs struct {
	// Registry is the server's program, called as the muster command is.
	Registry string
	// InMemory tells that the registry is one for tests, which keeps nothing and
	// takes no argument but --listen.
	InMemory bool
	// Testee is the testee's command.
	Testee []string
}

// Stage is what one scenario in one language runs on. It is not safe for
// concurrent use.
type Stage struct {
	// Dir is a folder of its own, $dir.
	Dir string
	// Names of addresses and folders.
	Names *trace.Names
	// Testee is nil before the first command.
	Testee *Testee

	programs    Programs
	servers     map[int]*Server
	proxies     map[int]*Proxy
	backends    map[string]*Backend
	actor       *actor.Actor
	environment []string
	disks       []string // mounted, in $dir
}

// Proxy is a TCP proxy, and a gRPC proxy behind it if there is one.
type Proxy struct {
	// Net breaks connections.
	Net *netfault.Proxy
	// GRPC alters calls; nil unless it was started so.
	GRPC *grpcfault.Proxy

	tls *terminator
}

// New makes an empty stage in a folder that exists.
func New(programs Programs, dir string) (*Stage, error) {
	s := &Stage{
		Dir: dir, Names: &trace.Names{}, programs: programs,
		servers: map[int]*Server{}, proxies: map[int]*Proxy{}, backends: map[string]*Backend{},
	}
	s.Names.Know(dir, "$dir")
	refused, err := freeAddress()
	s.Names.Know(refused, "$refused")
	return s, err
}

func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	return name + strconv.Itoa(n)
}

// StartServer makes server n if it is new, and starts it.
func (s *Stage) StartServer(ctx context.Context, n int, args []string) error {
	if s.servers[n] == nil {
		name := numbered("server", n)
		server, err := newServer(s.programs, s.Dir, name, args)
		if err != nil {
			return err
		}
		s.servers[n] = server
		s.Names.Know(server.Address, "$"+name)
	}
	return s.servers[n].Start(ctx)
}

// Server is server n.
func (s *Stage) Server(n int) (*Server, error) {
	if s.servers[n] == nil {
		return nil, fmt.Errorf("server %d was never started", n)
	}
	return s.servers[n], nil
}

// ProxyOptions say what kind of proxy is wanted.
type ProxyOptions struct {
	// Server that it is in front of.
	Server int
	// GRPC tells whether it is to read calls.
	GRPC bool
	// TLS tells whether it speaks TLS to clients, by the files of MakeTLS.
	TLS bool
}

// StartProxy starts proxy n.
func (s *Stage) StartProxy(n int, o ProxyOptions) (err error) {
	server, err := s.Server(o.Server)
	if err != nil {
		return err
	}
	if s.proxies[n] != nil {
		return fmt.Errorf("proxy %d runs already", n)
	}
	p := &Proxy{}
	target := server.Address
	if o.GRPC {
		var inner string
		if inner, err = freeAddress(); err != nil {
			return err
		}
		if p.GRPC, err = grpcfault.Start(inner, target); err != nil {
			return err
		}
		target = inner
	}
	if o.TLS {
		if p.tls, err = startTerminator(s.Dir, target); err != nil {
			return err
		}
		target = p.tls.address()
	}
	address, err := freeAddress()
	if err == nil {
		p.Net, err = netfault.Start(address, target)
	}
	if err != nil {
		return err
	}
	s.proxies[n] = p
	s.Names.Know(address, "$"+numbered("proxy", n))
	return nil
}

// Proxy is proxy n.
func (s *Stage) Proxy(n int) (*Proxy, error) {
	if s.proxies[n] == nil {
		return nil, fmt.Errorf("proxy %d was never started", n)
	}
	return s.proxies[n], nil
}

// Actor is the harness' own hand at server 1.
func (s *Stage) Actor() (*actor.Actor, error) {
	if s.actor != nil {
		return s.actor, nil
	}
	server, err := s.Server(1)
	if err != nil {
		return nil, err
	}
	s.actor, err = actor.New(server.Address)
	return s.actor, err
}

// StartBackend starts a backend by name; one that was there before comes back
// at its address.
func (s *Stage) StartBackend(name string) error {
	var address string
	if before := s.backends[name]; before != nil {
		address = before.Address
	} else {
		var err error
		if address, err = freeAddress(); err != nil {
			return err
		}
		s.Names.Know(address, "$backend-"+name)
	}
	b, err := startBackend(address, name)
	if err == nil {
		s.backends[name] = b
	}
	return err
}

// Backend finds a backend.
func (s *Stage) Backend(name string) (*Backend, error) {
	if s.backends[name] == nil {
		return nil, fmt.Errorf("backend %s was never started", name)
	}
	return s.backends[name], nil
}

// SetEnvironment adds variables, "NAME=value", to testees started from now on.
func (s *Stage) SetEnvironment(variables []string) {
	s.environment = append(s.environment, variables...)
}

// NeedTestee starts the testee unless it runs.
func (s *Stage) NeedTestee() (err error) {
	if s.Testee != nil {
		return nil
	}
	log := filepath.Join(s.Dir, TesteeLog)
	s.Testee, err = StartTestee(s.programs.Testee, s.Dir, log, s.environment)
	return err
}

// DefaultServers are the addresses that a client gets which names none: the proxies in
// their order, or without any the servers.
func (s *Stage) DefaultServers() string {
	var list []string
	for n := 1; n <= 9; n++ {
		switch {
		case s.proxies[n] != nil:
			list = append(list, s.proxies[n].Net.Address())
		case s.servers[n] != nil && len(s.proxies) == 0:
			list = append(list, s.servers[n].Address)
		}
	}
	return strings.Join(list, ",")
}

// EndTestee lets the testee close its clients and end. The next command starts
// another.
func (s *Stage) EndTestee() error {
	if s.Testee == nil {
		return nil
	}
	t := s.Testee
	s.Testee = nil
	return t.End()
}

// KillTestee ends the testee at once.
func (s *Stage) KillTestee() {
	if s.Testee != nil {
		s.Testee.Kill()
		s.Testee = nil
	}
}

// Close ends everything. Whatever still runs is killed.
func (s *Stage) Close() {
	s.KillTestee()
	if s.actor != nil {
		s.actor.Close()
	}
	for _, p := range s.proxies {
		p.Net.Close()
		if p.GRPC != nil {
			p.GRPC.Close()
		}
		if p.tls != nil {
			p.tls.close()
		}
	}
	for _, b := range s.backends {
		b.Kill()
	}
	for _, server := range s.servers {
		server.Kill()
	}
	s.removeDisks()
}

// Logs are the ends of all logs, for whoever has to find out what went wrong.
func (s *Stage) Logs() string {
	paths, _ := filepath.Glob(filepath.Join(s.Dir, "*.log"))
	slices.Sort(paths)
	var all strings.Builder
	for _, path := range paths {
		if text := tail(path); text != "" {
			fmt.Fprintf(&all, "  the end of %s:\n%s", filepath.Base(path), text)
		}
	}
	return all.String()
}

// ErrNoGRPC is the error of statements that need a proxy started by "proxy
// start grpc".
var ErrNoGRPC = errors.New(`this needs a proxy that reads gRPC: "proxy start grpc"`)
