package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func (a *app) getCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "get NAMESPACE/SERVICE[/ID]",
		Short: "Show the instances of a service",
		Long: `Show the instances of a service, or one of them, as the registry knows them now.
Where there is none it says why: never registered, deregistered or expired.

As JSON it is the answer of Lookup in the protobuf JSON mapping.`,
		Example: `  muster get shop/pay
  muster get shop/pay/pay-1 -o json
  muster get shop/pay -o json | jq -r '.instances[].endpoints[].address'`,
		Args:              arguments(1, 1, "muster get shop/pay"),
		ValidArgsFunction: a.completeServices,
		RunE: a.runE(func(ctx context.Context, args []string) error {
			name, filter, err := parseGet(args[0])
			if err != nil {
				return err
			}
			return a.withRegistry(ctx, func(ctx context.Context, r *registry) error {
				return a.get(ctx, r, name, filter)
			})
		}),
	}
}

// parseGet reads a service, or one instance of it.
func parseGet(text string) (*musterv1.ServiceName, *musterv1.InstanceFilter, error) {
	if strings.Count(text, "/") != 2 {
		name, err := parseService(text)
		return name, nil, err
	}
	key, err := parseInstance(text)
	if err != nil {
		return nil, nil, err
	}
	return &musterv1.ServiceName{Namespace: key.GetNamespace(), Service: key.GetService()},
		&musterv1.InstanceFilter{InstanceIds: []string{key.GetInstanceId()}}, nil
}

func (a *app) get(ctx context.Context, r *registry, name *musterv1.ServiceName, filter *musterv1.InstanceFilter) error {
	res, err := r.Lookup(ctx, &musterv1.LookupRequest{Selector: &musterv1.Selector{
		Names:  &musterv1.Selector_Services{Services: &musterv1.ServiceNames{Names: []*musterv1.ServiceName{name}}},
		Filter: filter,
	}})
	if err != nil {
		return callFailure("get", serviceName(name), r.server, err)
	}
	if err := a.showInstances(res); err != nil {
		return err
	}
	if len(res.GetInstances()) == 0 {
		return whyEmpty(ctx, r, name, res, filter != nil)
	}
	return nil
}

func (a *app) showInstances(res *musterv1.LookupResponse) error {
	if a.output.json {
		return writeJSON(a.out, res)
	}
	if len(res.GetInstances()) == 0 {
		return nil
	}
	now := time.Now()
	rows := [][]string{instanceHeading}
	for _, i := range res.GetInstances() {
		rows = append(rows, instanceRow(i, now))
	}
	return writeTable(a.out, rows)
}
