package main

import (
	"context"

	"github.com/spf13/cobra"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func (a *app) deregisterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deregister NAMESPACE/SERVICE/ID --lease LEASE",
		Short: "End the registration of an instance",
		Long: `End the registration of an instance. Watchers see that it was deregistered by choice.
Calls on their way to it are not waited for; "muster drain" first does that.`,
		Example: `  muster deregister shop/pay/pay-1 --lease "$LEASE"`,
		Args:    arguments(1, 1, "muster deregister shop/pay/pay-1 --lease LEASE"),
	}
	lease := a.leaseFlag(cmd)
	cmd.RunE = a.runE(func(ctx context.Context, args []string) error {
		key, id, err := lease(args[0])
		if err != nil {
			return err
		}
		return a.withRegistry(ctx, func(ctx context.Context, r *registry) error {
			res, err := r.Deregister(ctx, &musterv1.DeregisterRequest{LeaseId: id, Instances: []*musterv1.InstanceKey{key}})
			if err != nil {
				return callFailure("deregister", keyName(key), r.server, err)
			}
			a.say("deregistered %s (epoch %d, revision %d)", keyName(key), res.GetEpoch(), res.GetRevision())
			if a.output.json {
				return writeJSON(a.out, res)
			}
			return nil
		})
	})
	return cmd
}
