// Package etcd drives a real etcd: one member, embedded in a process of its
// own, with its default settings (every write synced). It is compared with
// what a registry on etcd would do: a lease and a key for each instance.
package etcd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Serve is the server's role: it runs one member of etcd until the context
// ends. Nothing but addresses, the directory and the logger differs from
// etcd's defaults.
func Serve(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(Role, flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	dir := flags.String("dir", "", "directory of the data")
	if err := flags.Parse(args); err != nil {
		return err
	}
	e, err := embed.StartEtcd(config(*dir, *listen))
	if err != nil {
		return fmt.Errorf("start etcd in %s: %w", *dir, err)
	}
	defer e.Close()
	select {
	case err := <-e.Err():
		return fmt.Errorf("etcd in %s: %w", *dir, err)
	case <-e.Server.StopNotify():
		return errors.New("etcd stopped by itself")
	case <-ctx.Done():
		return nil
	}
}

func config(dir, address string) *embed.Config {
	c := embed.NewConfig()
	c.Dir = dir
	client := []url.URL{{Scheme: "http", Host: address}}
	peer := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	c.ListenClientUrls, c.AdvertiseClientUrls = client, client
	c.ListenPeerUrls, c.AdvertisePeerUrls = peer, peer
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	// Closing logs errors that are none, and a log costs what is measured.
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	return c
}
