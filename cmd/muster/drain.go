package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// drainWait is how long a drain waits for watchers unless --wait says otherwise.
const drainWait = 5 * time.Second

func (a *app) drainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain NAMESPACE/SERVICE/ID --lease LEASE",
		Short: "Take an instance out of traffic, and wait until nobody picks it",
		Long: `Set an instance to draining, and wait until every live watcher has confirmed that it no
longer picks it. It stays registered and drained until it is deregistered, its lease
expires, or "muster update --lifecycle serving" takes it back.

If a watcher has not confirmed when the wait is over, the exit code is 5 and the
instance stays drained; running the command again waits again.`,
		Example: `  muster drain shop/pay/pay-1 --lease "$LEASE" && kill "$PID"`,
		Args:    arguments(1, 1, "muster drain shop/pay/pay-1 --lease LEASE"),
	}
	lease := a.leaseFlag(cmd)
	wait := cmd.Flags().Duration("wait", drainWait, "how long to wait for watchers, up to 10m")
	cmd.RunE = a.runE(func(ctx context.Context, args []string) error {
		key, id, err := lease(args[0])
		if err != nil {
			return err
		}
		if *wait <= 0 || *wait%time.Millisecond != 0 {
			return usage("--wait: %s is not allowed; give a positive duration in whole milliseconds, such as 5s", *wait)
		}
		a.timeout += *wait
		return a.withRegistry(ctx, func(ctx context.Context, r *registry) error {
			return a.drain(ctx, r, &musterv1.DrainRequest{
				LeaseId: id, Instances: []*musterv1.InstanceKey{key}, Timeout: durationpb.New(*wait),
			})
		})
	})
	return cmd
}

func (a *app) drain(ctx context.Context, r *registry, req *musterv1.DrainRequest) error {
	began := time.Now()
	res, err := r.Drain(ctx, req)
	if err != nil {
		return callFailure("drain", keyName(req.GetInstances()[0]), r.server, err)
	}
	text := drainText(res, time.Since(began))
	if a.output.json {
		if err := writeJSON(a.out, res); err != nil {
			return err
		}
	}
	if safe := res.GetSafeAfter().AsDuration(); safe > 0 {
		text += fmt.Sprintf("; earlier answers of lookups may be used for another %s", seconds(safe))
	}
	if res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_COMPLETE {
		return fail(exitUnavailable, "drain %s: %s", keyName(req.GetInstances()[0]), text)
	}
	a.say("%s", text)
	return nil
}

// drainText says how a drain ended.
func drainText(res *musterv1.DrainResponse, took time.Duration) string {
	all := res.GetConfirmed() + res.GetBehind()
	var text string
	switch {
	case res.GetResult() == musterv1.DrainResult_DRAIN_RESULT_COMPLETE:
		text = fmt.Sprintf("drained: %d/%d watchers confirmed in %s", res.GetConfirmed(), all, seconds(took))
	case res.GetBehind() > 0:
		text = fmt.Sprintf("%d of %d unconfirmed after %s", res.GetBehind(), all, seconds(took))
	default:
		text = fmt.Sprintf("after %s there may still be watchers that went away a moment ago or have not come back to a server that just started", seconds(took))
	}
	var names []string
	for _, w := range res.GetBehindWatchers() {
		if w.GetClientName() != "" {
			names = append(names, w.GetClientName()+" ("+w.GetAddress()+")")
		} else {
			names = append(names, w.GetAddress())
		}
	}
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	if int(res.GetBehind()) > len(names) {
		text += " …"
	}
	if n := res.GetUnconfirmable(); n > 0 {
		text += fmt.Sprintf("; %d more cannot confirm, and were told", n)
	}
	return text
}
