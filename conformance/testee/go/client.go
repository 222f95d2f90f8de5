package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	muster "github.com/muster-registry/muster/client-go"
)

// usual is the name of the client that commands without one mean.
const usual = "c"

// client is one client library instance.
type client struct{ *muster.Client }

// newClient makes a client: client [NAME] servers=HOST:PORT,... [ttl=] [name=]
// [freshness=FRESH,STALE] [tls-ca=] [tls-cert=] [tls-key=] [tls-name=] [token=]
// [token-file=] [cache=DIR] [region=] [zone=]; client env=yes ... makes it
// of the environment, which names the servers.
func (t *testee) newClient(_ context.Context, c command) (answer, error) {
	var servers []string
	options := []muster.Option{muster.WithLogger(t.log)}
	var secure muster.TLSConfig
	for name, value := range c.With {
		var err error
		switch name {
		case "env": // see below
		case "servers":
			servers = strings.Split(value, ",")
		case "name":
			options = append(options, muster.WithName(value))
		case "ttl":
			var ttl time.Duration
			ttl, err = time.ParseDuration(value)
			options = append(options, muster.WithTTL(ttl))
		case "tls-ca":
			secure.CAFile = value
		case "tls-cert":
			secure.CertFile = value
		case "tls-key":
			secure.KeyFile = value
		case "tls-name":
			secure.ServerName = value
		case "cache":
			options = append(options, muster.WithCacheDir(value))
		case "region", "zone":
			options = append(options, muster.WithLocality(c.With["region"], c.With["zone"]))
		case "token":
			options = append(options, muster.WithToken(muster.FixedToken(value)))
		case "token-file":
			options = append(options, muster.WithToken(muster.TokenFile(value)))
		case "freshness":
			fresh, stale, _ := strings.Cut(value, ",")
			var freshFor, staleFor time.Duration
			if freshFor, err = time.ParseDuration(fresh); err == nil {
				staleFor, err = time.ParseDuration(stale)
			}
			options = append(options, muster.WithFreshness(freshFor, staleFor))
		default:
			err = unknown(c, name)
		}
		if err != nil {
			return nil, err
		}
	}
	if secure != (muster.TLSConfig{}) {
		options = append(options, muster.WithTLS(secure))
	}
	begin := func() (*muster.Client, error) { return muster.New(servers, options...) }
	if c.With["env"] != "" {
		begin = func() (*muster.Client, error) { return muster.NewFromEnvironment(options...) }
	}
	made, err := begin()
	if err != nil {
		return nil, err
	}
	name := c.name()
	if name == "" {
		name = usual
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clients[name] = &client{made}
	return nil, nil
}

// client finds the client that a command is for.
func (t *testee) client(c command) (*client, error) {
	name := c.Client
	if name == "" {
		name = usual
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.clients[name] == nil {
		return nil, fmt.Errorf("%s: there is no client named %s; the command client makes one", c.Do, name)
	}
	return t.clients[name], nil
}

// timeout bounds a call by its option timeout, or leaves that to the client.
func timeout(ctx context.Context, c command) (context.Context, context.CancelFunc, error) {
	text, given := c.With["timeout"]
	if !given {
		return ctx, func() {}, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return ctx, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	return ctx, cancel, nil
}

// bounded does something with what a command names, within its timeout.
func bounded[T any](
	ctx context.Context, c command, find func(command) (T, error), do func(context.Context, T) (answer, error),
) (answer, error) {
	found, err := find(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := timeout(ctx, c)
	if err != nil {
		return nil, err
	}
	defer cancel()
	return do(ctx, found)
}

func (t *testee) ready(ctx context.Context, c command) (answer, error) {
	return bounded(ctx, c, t.client, func(ctx context.Context, cl *client) (answer, error) { return nil, cl.Ready(ctx) })
}

func (t *testee) status(_ context.Context, c command) (answer, error) {
	cl, err := t.client(c)
	if err != nil {
		return nil, err
	}
	s := cl.Status()
	about := answer{
		"server": s.Server, "cluster": s.ClusterID, "epoch": fmt.Sprint(s.Written.Epoch), "revision": fmt.Sprint(s.Written.Revision),
	}
	if s.Err != nil {
		about["error"] = errorFields(s.Err)
	}
	return answer{"registrations": s.Registrations, "subscriptions": s.Subscriptions, "about": about}, nil
}

// stats are all under "about": counts depend on timing. Scenarios name those
// that do not.
func (t *testee) stats(_ context.Context, c command) (answer, error) {
	cl, err := t.client(c)
	if err != nil {
		return nil, err
	}
	s := cl.Stats()
	return answer{"about": answer{
		"digest_mismatches": s.DigestMismatches, "unverified_views": s.UnverifiedViews,
		"epoch_regressions": s.EpochRegressions, "histories_lost": s.HistoriesLost,
		"watch_streams": s.WatchStreams, "keepalive_streams": s.KeepaliveStreams,
		"reregistrations": s.Reregistrations, "unconfirmed_leases": s.UnconfirmedLeases,
		"cache_errors": s.CacheErrors,
	}}, nil
}

// closeClient closes a client: close [NAME].
func (t *testee) closeClient(_ context.Context, c command) (answer, error) {
	if c.name() != "" {
		c.Client = c.name()
	}
	cl, err := t.client(c)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	err = cl.Close()
	return answer{"about": answer{"took_ms": time.Since(began).Milliseconds()}}, err
}
