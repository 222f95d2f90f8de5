package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func (a *app) infoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "info",
		Short: "Describe the server: version, cluster, features and limits",
		Long: `Describe the first server of the list that answers: its version, its cluster, where its
history stands, what it can do and what it allows.

As JSON it is the answer of GetServerInfo in the protobuf JSON mapping.`,
		Example: `  muster info
  muster info --server 10.0.0.5:7070 -o json`,
		Args: arguments(0, 0, "muster info"),
		RunE: a.runE(func(ctx context.Context, _ []string) error {
			return a.withRegistry(ctx, func(_ context.Context, r *registry) error {
				if a.output.json {
					return writeJSON(a.out, r.info)
				}
				return a.showInfo(r)
			})
		}),
	}
}

func (a *app) showInfo(r *registry) error {
	i := r.info
	rows := [][]string{
		{"server", r.server},
		{"version", i.GetServerVersion()},
		{"server id", i.GetServerId()},
		{"cluster id", i.GetClusterId()},
		{"epoch", strconv.FormatUint(i.GetPosition().GetEpoch(), 10)},
		{"revision", strconv.FormatUint(i.GetPosition().GetRevision(), 10)},
		{"protocol", fmt.Sprintf("%d to %d", i.GetOldestProtocol(), i.GetNewestProtocol())},
		{"uptime", age(i.GetUptime().AsDuration())},
	}
	if err := writeTable(a.out, rows); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	rows = [][]string{{"FEATURE", "STAGE", "NOTE"}}
	for _, f := range i.GetFeatures() {
		rows = append(rows, []string{f.GetName(), short(f.GetStage(), "FEATURE_STAGE_"), f.GetNote()})
	}
	if err := writeTable(a.out, rows); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	return writeTable(a.out, limitRows(i.GetLimits()))
}

func limitRows(l *musterv1.Limits) [][]string {
	rows := [][]string{{"LIMIT", "VALUE"}}
	for _, n := range []struct {
		name  string
		value uint32
	}{
		{"subscriptions per stream", l.GetSubscriptionsPerStream()},
		{"services per selector", l.GetServicesPerSelector()},
		{"instances per lease", l.GetInstancesPerLease()},
		{"instances per lookup", l.GetLookupInstances()},
		{"bytes of a request", l.GetRequestBytes()},
		{"bytes of an instance", l.GetInstanceBytes()},
		{"streams per connection", l.GetStreamsPerConnection()},
		{"leases per keepalive", l.GetLeasesPerKeepalive()},
	} {
		rows = append(rows, []string{n.name, strconv.FormatUint(uint64(n.value), 10)})
	}
	return append(rows,
		[]string{"shortest TTL", l.GetMinTtl().AsDuration().String()},
		[]string{"longest TTL", l.GetMaxTtl().AsDuration().String()})
}
