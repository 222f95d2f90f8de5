package main

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// defaultTTL is how long a lease lives without keepalive unless --ttl says
// otherwise.
const defaultTTL = 15 * time.Second

// minTTL and maxTTL are the bounds of the protocol.
const (
	minTTL = time.Second
	maxTTL = time.Hour
)

// registerOptions are the flags of register that are not part of the instance.
type registerOptions struct {
	ttl      time.Duration
	wait     time.Duration
	noDrain  bool
	detach   bool
	takeOver bool
}

func (a *app) registerCommand() *cobra.Command {
	var o registerOptions
	var id string
	cmd := &cobra.Command{
		Use:   "register NAMESPACE/SERVICE",
		Short: "Register an instance, and keep it registered",
		Long: `Register an instance of a service and keep it registered until Ctrl-C or SIGTERM; then
drain it, wait until no watcher picks it any more, and deregister it. Each change of
the registration's state is shown. An instance of the same id is taken over.

With --detach it is registered for --ttl and nothing keeps it alive: the command prints
the lease, with which the instance can be updated, drained and deregistered, and ends.
A lease is a secret of its holder.`,
		Example: `  muster register shop/pay --endpoint 10.0.0.7:8080
  muster register shop/pay --id pay-1 --endpoint grpc=10.0.0.7:8080 --endpoint web=http://10.0.0.7:80 \
      --version 1.4.0 --zone eu-west-1a --region eu-west --metadata team=checkout
  LEASE=$(muster register shop/pay --id pay-1 --endpoint 10.0.0.7:8080 --ttl 1h --detach)`,
		Args:              arguments(1, 1, "muster register shop/pay --endpoint 10.0.0.7:8080"),
		ValidArgsFunction: a.completeServices,
	}
	instance := addInstanceFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&id, "id", "", "`name` of the instance within the service (default: the service's name and a random number)")
	o.addTo(flags)
	cmd.RunE = a.runE(func(ctx context.Context, args []string) error {
		name, err := parseService(args[0])
		if err != nil {
			return err
		}
		if err = o.check(flags.Changed("ttl")); err != nil {
			return err
		}
		if id == "" {
			id = name.GetService() + "-" + strings.ToLower(rand.Text()[:8])
		}
		spec, _, err := instance.instance(&musterv1.InstanceKey{
			Namespace: name.GetNamespace(), Service: name.GetService(), InstanceId: id,
		})
		if err != nil {
			return err
		}
		if o.detach {
			return a.registerDetached(ctx, spec, o)
		}
		return a.registerAttached(ctx, spec, o)
	})
	return cmd
}

func (o *registerOptions) addTo(flags *pflag.FlagSet) {
	flags.DurationVar(&o.ttl, "ttl", defaultTTL, "how long it stays registered without keepalive, 1s to 1h")
	flags.DurationVar(&o.wait, "wait", drainWait, "how long the drain at the end waits for watchers")
	flags.BoolVar(&o.noDrain, "no-drain", false, "deregister at the end without draining")
	flags.BoolVar(&o.detach, "detach", false, "print the lease and end; nothing keeps the instance alive; needs --ttl")
	flags.BoolVar(&o.takeOver, "take-over", false, "with --detach: replace an instance of the same id")
}

func (o *registerOptions) check(ttlGiven bool) error {
	switch {
	case o.ttl < minTTL || o.ttl > maxTTL || o.ttl%time.Millisecond != 0:
		return usage("--ttl: %s is not allowed; give 1s to 1h in whole milliseconds, such as 30s", o.ttl)
	case o.wait <= 0:
		return usage("--wait: %s is not allowed; give a positive duration, such as 5s, or --no-drain", o.wait)
	case o.detach && !ttlGiven:
		return usage("--detach needs --ttl, such as --ttl 1h: nothing keeps the instance alive, so it expires after that")
	case o.takeOver && !o.detach:
		return usage("--take-over goes with --detach; without it an instance of the same id is taken over anyway")
	default:
		return nil
	}
}
