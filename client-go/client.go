package muster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/muster-registry/muster/client-go/internal/backoff"
	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// Client is a connection to a registry, and the owner of everything that was
// registered or subscribed through it. It is safe for concurrent use.
type Client struct {
	config  Config
	servers *servers
	keeper  *keeper
	watcher *watcher
	// id spreads clients over subsets of instances.
	id uint64
	// fixed are the services that the registry is not asked for.
	fixed *fixedServices
	// cache is nil without Config.CacheDir.
	cache *diskCache
	// answers are those of recent lookups.
	answers *answers
	budget  *retryBudget

	// ctx ends when Close has taken back what it could.
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	closeOnce sync.Once
	closeDone chan struct{}

	// mu guards what follows. It is held for moments only, and inside of it no
	// other lock is taken.
	mu       sync.Mutex
	closing  bool
	sessions map[*session]struct{}
	// written is where the last own write became visible.
	written Position
}

// New makes a client of the registry whose servers are given as host:port. It
// validates and talks to nobody: a registry that is down is found out by the
// first call that needs it. The error is INVALID_ARGUMENT.
func New(servers []string, options ...Option) (*Client, error) {
	config, err := newConfig(servers, options)
	if err != nil {
		return nil, err
	}
	c := &Client{
		config:    config,
		id:        config.words(),
		closeDone: make(chan struct{}),
		sessions:  make(map[*session]struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.servers = newServers(&c.config)
	c.keeper = newKeeper(c)
	c.watcher = newWatcher(c)
	c.answers = newAnswers()
	c.budget = newRetryBudget()
	fixed, refused := newFixedServices(&c.config)
	if refused != nil {
		return nil, refused
	}
	c.fixed = fixed
	if err := c.openCache(); err != nil {
		return nil, err
	}
	return c, nil
}

// openCache opens the directory for views, if there is to be one.
func (c *Client) openCache() error {
	if c.config.CacheDir == "" {
		return nil
	}
	files, err := c.config.openCache(c.config.CacheDir)
	if err != nil {
		e := optionError("CacheDir", rules.Quote(c.config.CacheDir),
			fmt.Sprintf("it cannot be written to (%v); name a directory that this process may write", fileCause(err)))
		e.cause = err
		return e
	}
	c.cache = newDiskCache(c, files)
	return nil
}

// Ready waits until a server of the list answers. ctx bounds the wait; without a
// deadline it is 5 s. The error is NO_SERVER, with every server that was tried
// and why it did not serve.
func (c *Client) Ready(ctx context.Context) error {
	if c.isClosing() {
		return closedError("client")
	}
	ctx, cancel := withDefaultTimeout(ctx, defaults.CallTimeout)
	defer cancel()
	var retries backoff.Backoff
	for {
		if c.config.static {
			return nil
		}
		_, err := c.servers.acquire(ctx, nil)
		if err == nil {
			return nil
		}
		if !err.Retryable() || !sleep(ctx, retries.Next(backoff.EndpointCap, c.config.words())) {
			return c.gaveUp(ctx, "ready", "", err)
		}
	}
}

// ClientStatus is what a client knows of its registry.
type ClientStatus struct {
	// Server is the address of the server in use, or to be tried next.
	Server string
	// ClusterID is the cluster of the registry; empty before the first answer.
	ClusterID string
	// Err is the present outage, as NO_SERVER; nil if there is none.
	Err error
	// Registrations that are alive.
	Registrations int
	// Subscriptions that are open, counted by distinct selector.
	Subscriptions int
	// Written is where the last own write became visible; zero before one.
	Written Position
}

// Status is what the client knows now. It does no I/O.
func (c *Client) Status() ClientStatus {
	address, clusterID, err := c.servers.status()
	subscriptions := c.watcher.count()
	c.mu.Lock()
	defer c.mu.Unlock()
	return ClientStatus{
		Server:        address,
		ClusterID:     clusterID,
		Err:           err.orNil(),
		Registrations: len(c.sessions),
		Subscriptions: subscriptions,
		Written:       c.written,
	}
}

// Logger is the logger of the client's Config, for packages that extend it.
func (c *Client) Logger() *slog.Logger { return c.config.Logger }

// Locality is where this process runs, for packages that extend this one.
func (c *Client) Locality() Locality { return Locality{c.config.Region, c.config.Zone} }

// ID is a random number that tells this client from others, for packages that
// extend this one.
func (c *Client) ID() uint64 { return c.id }

// Close deregisters everything, ends all streams, closes all subscriptions and
// joins all goroutines. It takes at most 5 s: what cannot be deregistered by
// then expires by its TTL. It is idempotent; every call waits for the first.
// Afterwards everything returns CLOSED. The error is always nil.
func (c *Client) Close() error {
	c.closeOnce.Do(c.close)
	<-c.closeDone
	return nil
}

func (c *Client) close() {
	defer close(c.closeDone)
	began := time.Now()
	deadline := time.AfterFunc(defaults.CloseTimeout, c.cancel)
	defer deadline.Stop()
	c.mu.Lock()
	c.closing = true
	ending := make([]*session, 0, len(c.sessions))
	for s := range c.sessions {
		ending = append(ending, s)
	}
	c.mu.Unlock()
	c.watcher.close()
	for _, s := range ending {
		s.end(Closed)
	}
	for _, s := range ending {
		<-s.done
	}
	c.keeper.close()
	c.cancel()
	c.tasks.Wait()
	c.cache.close(began)
	c.servers.close()
}

func (c *Client) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// start runs task as a goroutine that Close joins, unless Close has begun.
func (c *Client) start(task func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false
	}
	c.tasks.Go(task)
	return true
}

// adopt lists a session, so that Close ends it, and starts its driver.
func (c *Client) adopt(s *session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false
	}
	c.sessions[s] = struct{}{}
	c.tasks.Go(func() {
		defer c.forget(s)
		s.run(c.ctx)
	})
	return true
}

func (c *Client) forget(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, s)
}

// wrote remembers where an own write became visible, for later lookups.
func (c *Client) wrote(at Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.Epoch > c.written.Epoch || at.atLeast(c.written) {
		c.written = at
	}
}

func (c *Client) lastWrite() Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// forgetWrites is for a registry that changed its history.
func (c *Client) forgetWrites(before Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written == before {
		c.written = Position{}
	}
}
