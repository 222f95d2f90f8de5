package main

import (
	"context"
	"math"
	"strings"

	"github.com/spf13/cobra"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func (a *app) watchCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "watch NAMESPACE/SERVICE... | NAMESPACE/PREFIX*...",
		Short: "Show changes of services as they happen",
		Long: `Show what is registered, and then every change, one line each, until Ctrl-C:

  =  the whole set was sent, and why       +  an instance is new
  ~  an instance changed                   -  an instance is gone, and why
  !  a service became empty, and why       .  nothing else changed (with -v)

A connection that is lost is made again, and the watch goes on where it was: nothing is
shown twice and nothing is missed. What a slow reader missed in between is shown as one
change.

As JSON each line is an object: "change" is SNAPSHOT, ADDED, CHANGED, REMOVED, SERVICE
or PROGRESS (with -v); instances, services and headers are in the protobuf JSON mapping.`,
		Example: `  muster watch shop/pay shop/orders
  muster watch 'shop/*'
  muster watch '*' -v
  muster watch shop/pay -o json | jq -r 'select(.change == "REMOVED") | .reason'`,
		Args:              arguments(1, math.MaxInt, "muster watch shop/pay"),
		ValidArgsFunction: a.completeServices,
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show progress too, and every connection")
	cmd.RunE = a.runE(func(ctx context.Context, args []string) error {
		subscriptions, err := parseSubscriptions(args)
		if err != nil {
			return err
		}
		w := &watchLoop{
			app: a, subscriptions: subscriptions, verbose: verbose,
			show: &watchPrinter{out: a.out, json: a.output.json, zone: a.zone, verbose: verbose},
		}
		return w.run(ctx)
	})
	return cmd
}

// parseSubscriptions makes one subscription of all services that are named,
// and one of each prefix.
func parseSubscriptions(args []string) ([]*musterv1.Subscription, error) {
	var subscriptions []*musterv1.Subscription
	add := func(s *musterv1.Selector) {
		subscriptions = append(subscriptions, &musterv1.Subscription{
			SubscriptionId: uint32(len(subscriptions) + 1), Selector: s,
		})
	}
	named := &musterv1.ServiceNames{}
	for _, text := range args {
		if strings.HasSuffix(text, "*") {
			prefix, err := parsePrefix(text)
			if err != nil {
				return nil, err
			}
			add(&musterv1.Selector{Names: &musterv1.Selector_Prefix{Prefix: prefix}})
			continue
		}
		name, err := parseService(text)
		if err != nil {
			return nil, err
		}
		named.Names = append(named.Names, name)
	}
	if len(named.GetNames()) > 0 {
		add(&musterv1.Selector{Names: &musterv1.Selector_Services{Services: named}})
	}
	return subscriptions, nil
}
