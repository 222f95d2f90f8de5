package muster

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// servers is the list of registry servers and which of them serves. It is safe
// for concurrent use.
type servers struct {
	config *Config
	tokens *tokens
	// list is in the order in which servers are tried; the first home of them
	// are in the client's zone.
	list []*server
	home int

	mu sync.Mutex
	// current is the index of the server that is tried first.
	current int
	// clusterID is that of the first server that answered; others are errors.
	clusterID string
	// failing is when the present outage began; zero while a server serves.
	failing  time.Time
	attempts int
	// causes are why each server failed last in the outage, by address.
	causes  map[string]string
	lastErr *Error
}

func newServers(config *Config) *servers {
	s := &servers{config: config, tokens: newTokens(config.Token, config.Logger), causes: make(map[string]string)}
	var parsed []rules.Server
	for _, text := range config.Servers {
		one, _ := rules.ParseServer(text) // validated before
		parsed = append(parsed, one)
	}
	order, home := rules.OrderServers(parsed, config.Zone, config.orderWord())
	s.home = home
	for _, i := range order {
		s.list = append(s.list, newServer(parsed[i].Address, s))
	}
	return s
}

// acquire returns a server that answers: the current one, else the first that
// does, trying each once, `avoid` last. Without one the error is NO_SERVER and
// says what became of each.
func (s *servers) acquire(ctx context.Context, avoid *server) (*server, *Error) {
	return s.firstOf(ctx, s.order(avoid), avoid == nil)
}

// handover returns the server to go to when one is left by choice, which may be
// that one again. It becomes current.
func (s *servers) handover(ctx context.Context, from *server) (*server, *Error) {
	var ordered []*server
	for _, position := range rules.HandoverOrder(len(s.list), s.home, slices.Index(s.list, from)) {
		ordered = append(ordered, s.list[position])
	}
	return s.firstOf(ctx, ordered, true)
}

// firstOf returns the first of these servers that answers.
func (s *servers) firstOf(ctx context.Context, candidates []*server, makeCurrent bool) (*server, *Error) {
	var failures []serverFailure
	for _, candidate := range candidates {
		// Who wants another server asks rarely: it must not miss one that just came back.
		err := candidate.connect(ctx, !makeCurrent)
		if err == nil {
			s.serving(candidate, makeCurrent)
			return candidate, nil
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, contextError(ctx, "connect", candidate.address, err)
		}
		failures = append(failures, serverFailure{candidate.address, candidate.causeOf(err)})
		if makeCurrent {
			// Who has less time than a round takes gets further the next time.
			s.failed(candidate)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, s.outage(failures)
}

// order is the list from the current server on, with avoid moved to the end.
func (s *servers) order(avoid *server) []*server {
	s.mu.Lock()
	first := s.current
	s.mu.Unlock()
	var ordered []*server
	for i := range s.list {
		if candidate := s.list[(first+i)%len(s.list)]; candidate != avoid {
			ordered = append(ordered, candidate)
		}
	}
	if avoid != nil {
		ordered = append(ordered, avoid)
	}
	return ordered
}

// serving ends an outage. The server becomes current unless it was chosen only
// to avoid another.
func (s *servers) serving(chosen *server, makeCurrent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing, s.attempts, s.lastErr = time.Time{}, 0, nil
	clear(s.causes)
	if makeCurrent {
		s.moveToLocked(chosen)
	}
}

// failed moves on from a server that answered badly, if it is still current.
func (s *servers) failed(bad *server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list[s.current] == bad {
		s.current = (s.current + 1) % len(s.list)
	}
}

// blame moves on from a server whose stream ended badly, unless it was for the
// credentials, which other servers refuse as well.
func (s *servers) blame(bad *server, err *Error) {
	if err.Reason != ReasonUnauthenticated {
		s.failed(bad)
	}
}

func (s *servers) moveToLocked(chosen *server) {
	for i, candidate := range s.list {
		if candidate == chosen {
			s.current = i
		}
	}
}

// outage counts the failures of one round and makes the NO_SERVER error, which
// names every server that failed in this outage.
func (s *servers) outage(round []serverFailure) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing.IsZero() {
		s.failing = time.Now()
	}
	s.attempts += len(round)
	for _, f := range round {
		s.causes[f.server] = f.cause
	}
	var failures []serverFailure
	for _, candidate := range s.list {
		if cause, ok := s.causes[candidate.address]; ok {
			failures = append(failures, serverFailure{candidate.address, cause})
		}
	}
	s.lastErr = noServerError(failures, s.attempts, time.Since(s.failing))
	return s.lastErr
}

// status is the current server, the cluster and the outage, if there is one.
func (s *servers) status() (address, clusterID string, err *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return "", "", nil
	}
	return s.list[s.current].address, s.clusterID, s.lastErr
}

// checkCluster pins the cluster of the first answer and refuses others, which
// is what a reused address would otherwise lead to.
func (s *servers) checkCluster(address, clusterID string) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case clusterID == "" || clusterID == s.clusterID:
		return nil
	case s.clusterID == "":
		s.clusterID = clusterID
		return nil
	default:
		return wrongClusterError(address, clusterID, s.clusterID)
	}
}

func (s *servers) close() {
	for _, server := range s.list {
		server.close()
	}
}
