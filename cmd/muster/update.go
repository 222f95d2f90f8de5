package main

import (
	"context"

	"github.com/spf13/cobra"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func (a *app) updateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "update NAMESPACE/SERVICE/ID --lease LEASE",
		Short: "Change a registered instance",
		Long: `Change fields of a registered instance: those whose flags are given. Each flag replaces
a whole field: --metadata a=1 leaves no other metadata, and --region and --zone are one
field, so they are given together.

Only the holder of the lease may; "muster register --detach" prints it. An instance that
a program registered is changed by that program.`,
		Example: `  muster update shop/pay/pay-1 --lease "$LEASE" --weight 0
  muster update shop/pay/pay-1 --lease "$LEASE" --health degraded --health-reason "slow disk"`,
		Args: arguments(1, 1, "muster update shop/pay/pay-1 --lease LEASE --weight 0"),
	}
	lease := a.leaseFlag(cmd)
	flags := addInstanceFlags(cmd)
	cmd.MarkFlagsRequiredTogether("region", "zone")
	cmd.RunE = a.runE(func(ctx context.Context, args []string) error {
		key, id, err := lease(args[0])
		if err != nil {
			return err
		}
		instance, mask, err := flags.instance(key)
		if err != nil {
			return err
		}
		if len(mask.GetPaths()) == 0 {
			return usage("nothing to change; give at least one of the flags, such as --weight; see \"muster update --help\"")
		}
		return a.withRegistry(ctx, func(ctx context.Context, r *registry) error {
			res, err := r.Update(ctx, &musterv1.UpdateRequest{LeaseId: id, Instance: instance, UpdateMask: mask})
			if err != nil {
				return callFailure("update", keyName(key), r.server, err)
			}
			a.say("updated %s (epoch %d, revision %d)", keyName(key), res.GetEpoch(), res.GetRevision())
			if a.output.json {
				return writeJSON(a.out, res)
			}
			return nil
		})
	})
	return cmd
}
