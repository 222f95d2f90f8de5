package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// listPage is how many services are asked for at once.
const listPage = 1_000

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [NAMESPACE[/PREFIX]]",
		Short: "List services",
		Long: `List services with the number of their instances: of all namespaces, of one, or those
of one whose names begin alike. HEALTHY, DEGRADED and UNHEALTHY count instances that
are serving.

As JSON it is the answer of ListServices in the protobuf JSON mapping, all pages in one.`,
		Example: `  muster list
  muster list shop
  muster list shop/pay`,
		Args:              arguments(0, 1, "muster list shop"),
		ValidArgsFunction: a.completeServices,
		RunE: a.runE(func(ctx context.Context, args []string) error {
			req := &musterv1.ListServicesRequest{PageSize: listPage}
			if len(args) == 1 {
				var prefixed bool
				req.Namespace, req.Prefix, prefixed = strings.Cut(strings.TrimSuffix(args[0], "*"), "/")
				if req.GetNamespace() == "" && (prefixed || args[0] != "*") {
					return usage("%q is not namespace or namespace/prefix, such as shop or shop/pay", args[0])
				}
			}
			return a.withRegistry(ctx, func(ctx context.Context, r *registry) error {
				res, err := listAll(ctx, r, req)
				if err != nil {
					return callFailure("list", strings.Join(args, ""), r.server, err)
				}
				return a.showServices(res)
			})
		}),
	}
}

// listAll joins all pages; the position is that of the last.
func listAll(ctx context.Context, r *registry, req *musterv1.ListServicesRequest) (*musterv1.ListServicesResponse, error) {
	req = proto.Clone(req).(*musterv1.ListServicesRequest)
	all := &musterv1.ListServicesResponse{}
	for {
		page, err := r.ListServices(ctx, req)
		if err != nil {
			return nil, err
		}
		all.Services = append(all.Services, page.GetServices()...)
		all.Position = page.GetPosition()
		if page.GetNextPageToken() == "" {
			return all, nil
		}
		req.PageToken = page.GetNextPageToken()
	}
}

func (a *app) showServices(res *musterv1.ListServicesResponse) error {
	if a.output.json {
		return writeJSON(a.out, res)
	}
	if len(res.GetServices()) == 0 {
		a.say("no services (epoch %d, revision %d)", res.GetPosition().GetEpoch(), res.GetPosition().GetRevision())
		return nil
	}
	rows := [][]string{{"SERVICE", "INSTANCES", "HEALTHY", "DEGRADED", "UNHEALTHY", "STARTING", "DRAINING"}}
	for _, s := range res.GetServices() {
		row := []string{serviceName(s.GetState())}
		for _, n := range []uint32{
			s.GetInstances(), s.GetHealthy(), s.GetDegraded(), s.GetUnhealthy(), s.GetStarting(), s.GetDraining(),
		} {
			row = append(row, strconv.FormatUint(uint64(n), 10))
		}
		rows = append(rows, row)
	}
	return writeTable(a.out, rows)
}
