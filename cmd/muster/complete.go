package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// completeTimeout bounds what a shell waits for after Tab.
const completeTimeout = time.Second

// completeServices offers the names of services. A registry that does not
// answer offers none.
func (a *app) completeServices(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 && cmd.Name() != "watch" || a.finishFlags(cmd) != nil {
		return nil, directive
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
	defer cancel()
	r, err := a.connect(ctx)
	if err != nil {
		return nil, directive
	}
	defer r.Close()
	res, err := r.ListServices(ctx, &musterv1.ListServicesRequest{PageSize: listPage})
	if err != nil {
		return nil, directive
	}
	names := make([]string, len(res.GetServices()))
	for i, s := range res.GetServices() {
		names[i] = serviceName(s.GetState())
	}
	return names, directive
}
