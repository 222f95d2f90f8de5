package muster

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// Version is the release of this library, sent with every call.
const Version = "0.1.0"

// protocolVersion is the version of the protocol that this client speaks.
const protocolVersion = "1"

// Config holds every setting of a Client. Options change it; the defaults are
// those of [New].
type Config struct {
	// Servers of the registry, host:port, or host:port@zone if they run in
	// several zones. Those of the client's own zone are tried first, each client
	// beginning at a random one of them; it stays with a server that serves.
	Servers []string
	// Name by which people recognise this client in the registry; default
	// empty. At most 128 bytes.
	Name string
	// Region and Zone are where this process runs; default empty, unknown, which
	// is near to nobody. Channels prefer instances that are near, servers of the
	// own zone are tried first, and own instances say it. At most 63 bytes each.
	Region, Zone string
	// TLS for connections to the registry; default nil, plaintext.
	TLS *TLSConfig
	// Token proves to the registry who calls; default nil, no token. It needs
	// TLS, since it is never sent in plaintext.
	Token TokenSource
	// TTL of leases: how long the registry waits for a silent process before
	// its instances expire. 1 s to 1 h, default 15 s, whole milliseconds.
	TTL time.Duration
	// FreshFor is the age up to which a view is FRESH; default 30 s.
	FreshFor time.Duration
	// StaleFor is the age up to which a view is STALE, EXPIRED beyond;
	// default 10 min. An expired view is still served.
	StaleFor time.Duration
	// CacheDir is an absolute path of a directory in which the last verified
	// view of each selector is kept, so that the process can start while no
	// registry answers; default empty, none. It is made if it is not there.
	CacheDir string
	// Override are instances that replace those of the registry: for their
	// services the registry is never asked. For development; default none.
	Override []InstanceSpec
	// GracePeriod is what this process has between being told to stop and being
	// killed: Serve of package mustergrpc divides it among the steps of the end,
	// by section 23 of docs/client-spec.md. 3 s to 24 h, default 30 s, which is
	// that of Kubernetes; whole milliseconds.
	GracePeriod time.Duration
	// Logger for what operators should know; default silent. Leases appear in
	// it by their first four characters.
	Logger *slog.Logger
	// Observer is told what the client does; default none.
	Observer Observer
	// Dial opens connections to the registry; default TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	// tls reads the files of TLS; nil without.
	tls *tlsLoader
	// words are random, and so is orderWord, by which the client chooses its
	// place in the list of servers; tests replace them.
	words     func() uint64
	orderWord func() uint64
	telemetry *telemetry
	// static: there is no registry, Override is everything.
	static bool
	// cached: a CacheDir was asked for. openCache opens it; tests replace it.
	cached    bool
	openCache func(path string) (cacheFiles, error)
}

// Option changes one setting of a Config.
type Option func(*Config)

// WithName sets Config.Name.
func WithName(name string) Option { return func(c *Config) { c.Name = name } }

// WithLocality sets Config.Region and Config.Zone.
func WithLocality(region, zone string) Option {
	return func(c *Config) { c.Region, c.Zone = region, zone }
}

// WithTLS sets Config.TLS.
func WithTLS(config TLSConfig) Option { return func(c *Config) { c.TLS = &config } }

// WithToken sets Config.Token.
func WithToken(source TokenSource) Option { return func(c *Config) { c.Token = source } }

// WithTTL sets Config.TTL.
func WithTTL(ttl time.Duration) Option { return func(c *Config) { c.TTL = ttl } }

// WithFreshness sets Config.FreshFor and Config.StaleFor.
func WithFreshness(freshFor, staleFor time.Duration) Option {
	return func(c *Config) { c.FreshFor, c.StaleFor = freshFor, staleFor }
}

// WithCacheDir sets Config.CacheDir.
func WithCacheDir(path string) Option { return func(c *Config) { c.CacheDir, c.cached = path, true } }

// WithOverride sets Config.Override.
func WithOverride(instances ...InstanceSpec) Option {
	return func(c *Config) { c.Override = instances }
}

// WithGracePeriod sets Config.GracePeriod.
func WithGracePeriod(period time.Duration) Option {
	return func(c *Config) { c.GracePeriod = period }
}

// WithLogger sets Config.Logger.
func WithLogger(logger *slog.Logger) Option { return func(c *Config) { c.Logger = logger } }

// WithDial sets Config.Dial.
func WithDial(dial func(ctx context.Context, address string) (net.Conn, error)) Option {
	return func(c *Config) { c.Dial = dial }
}

// newConfig applies options to the defaults and validates the result.
func newConfig(servers []string, options []Option) (Config, error) {
	c := Config{
		Servers:     append([]string(nil), servers...),
		TTL:         defaults.TTL,
		FreshFor:    defaults.FreshFor,
		StaleFor:    defaults.StaleFor,
		GracePeriod: defaults.GracePeriod,
		Logger:      slog.New(slog.DiscardHandler),
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
		words:     rand.Uint64,
		orderWord: rand.Uint64,
		openCache: openCacheDir,
	}
	for _, o := range options {
		o(&c)
	}
	if err := c.validate(); err != nil {
		return Config{}, err
	}
	c.telemetry = newTelemetry(c.Observer)
	if c.TLS != nil {
		loader, err := newTLSLoader(*c.TLS, c.Logger)
		if err != nil {
			return Config{}, err
		}
		c.tls = loader
	}
	return c, nil
}

func (c *Config) validate() *Error {
	if len(c.Servers) == 0 && !c.static {
		return newError(ReasonInvalidArgument, codes.InvalidArgument, "new", "", textNoServers())
	}
	for _, s := range c.Servers {
		if _, err := rules.ParseServer(s); err != nil {
			return newError(ReasonInvalidArgument, codes.InvalidArgument, "new", s, textServerAddress(err))
		}
	}
	switch {
	case len(c.Name) > 128 || strings.ContainsFunc(c.Name, notPrintable):
		return optionError("Name", rules.Quote(c.Name), "use at most 128 printable ASCII characters")
	case len(c.Region) > maxNameBytes:
		return optionError("Region", rules.Quote(c.Region), "use at most 63 bytes")
	case len(c.Zone) > maxNameBytes:
		return optionError("Zone", rules.Quote(c.Zone), "use at most 63 bytes")
	case !wholeMs(c.TTL, rules.ShortestTTLMs, rules.LongestTTLMs):
		return optionError("TTL", exactly(c.TTL), "use 1s to 1h in whole milliseconds")
	case c.FreshFor.Milliseconds() <= 0 || c.StaleFor.Milliseconds() <= c.FreshFor.Milliseconds():
		return optionError("Freshness", exactly(c.FreshFor)+", "+exactly(c.StaleFor), "both must be positive, and the second longer")
	case !wholeMs(c.GracePeriod, rules.ShortestGraceMs, rules.LongestGraceMs):
		return optionError("GracePeriod", exactly(c.GracePeriod), "use 3s to 24h in whole milliseconds")
	case (c.cached || c.CacheDir != "") && !filepath.IsAbs(c.CacheDir):
		return optionError("CacheDir", rules.Quote(c.CacheDir), "use an absolute path, or leave the option out for no cache")
	case c.Logger == nil:
		return optionError("Logger", "nil", "leave the option out for silence")
	case c.Token != nil && c.TLS == nil:
		return optionError("Token", "a token without TLS", "it is never sent in plaintext; set TLS, too")
	case c.Dial == nil:
		return optionError("Dial", "nil", "leave the option out for TCP")
	}
	return nil
}

// optionCode is the code of every error about an option.
const optionCode = codes.InvalidArgument

func notPrintable(r rune) bool { return r < ' ' || r > '~' }

func optionError(name string, value any, allowed string) *Error {
	return newError(ReasonInvalidArgument, optionCode, "new", name, textOption(name, value, allowed))
}

// backoffCap is the longest delay between attempts of sessions: a third of
// the TTL, and at most what it is for endpoints.
func (c *Config) backoffCap() time.Duration {
	return leaseBackoffCap(c.TTL)
}

// wholeMs tells whether a duration is in whole milliseconds, and in bounds.
func wholeMs(d time.Duration, leastMs, mostMs int64) bool {
	return d >= time.Duration(leastMs)*time.Millisecond && d <= time.Duration(mostMs)*time.Millisecond && d%time.Millisecond == 0
}
