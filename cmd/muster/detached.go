package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// registerDetached registers an instance, prints its lease and leaves it.
func (a *app) registerDetached(ctx context.Context, spec *musterv1.Instance, o registerOptions) error {
	req := &musterv1.RegisterRequest{
		Instances: []*musterv1.Instance{spec}, Ttl: durationpb.New(o.ttl), RequestId: rand.Text(),
	}
	return a.withRegistry(ctx, func(ctx context.Context, r *registry) error {
		res, err := r.Register(ctx, req)
		if incarnations := presentHolders(err); o.takeOver && len(incarnations) > 0 {
			req.Claim = &musterv1.RegisterRequest_TakeOver{TakeOver: &musterv1.TakeOver{Incarnations: incarnations}}
			res, err = r.Register(ctx, req)
		}
		if err != nil {
			f := callFailure("register", instanceName(spec), r.server, err)
			if len(presentHolders(err)) > 0 {
				f.text += "; --take-over replaces it"
			}
			return f
		}
		ttl := res.GetLease().GetTtl().AsDuration()
		a.say("registered %s (incarnation %d); it expires in %s unless something keeps its lease alive",
			instanceName(spec), res.GetLease().GetIncarnation(), age(ttl))
		if a.output.json {
			return writeJSON(a.out, res)
		}
		_, err = fmt.Fprintln(a.out, res.GetLease().GetLeaseId())
		return err
	})
}

// presentHolders are the incarnations that INSTANCE_EXISTS names; none for any
// other error.
func presentHolders(err error) []uint64 {
	for _, d := range status.Convert(err).Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok || info.GetReason() != "INSTANCE_EXISTS" {
			continue
		}
		var incarnations []uint64
		for _, text := range strings.Split(info.GetMetadata()["incarnations"], ",") {
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				incarnations = append(incarnations, n)
			}
		}
		return incarnations
	}
	return nil
}
