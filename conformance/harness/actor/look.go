package actor

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Instance is one as the registry has it now, as fields by the names that
// scenarios use; nil if there is none.
func (a *Actor) Instance(ctx context.Context, text string) (map[string]string, error) {
	key, err := Key(text)
	if err != nil {
		return nil, err
	}
	list, err := a.lookup(ctx, key.GetNamespace(), key.GetService())
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		if i.GetInstanceId() == key.GetInstanceId() {
			return fields(i), nil
		}
	}
	return nil, nil //nolint:nilnil // there is none
}

// Count is how many instances a service has, namespace/service.
func (a *Actor) Count(ctx context.Context, service string) (int, error) {
	key, err := Key(service + "/-")
	if err != nil {
		return 0, err
	}
	list, err := a.lookup(ctx, key.GetNamespace(), key.GetService())
	return len(list), err
}

func (a *Actor) lookup(ctx context.Context, namespace, service string) ([]*musterv1.Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := a.discovery.Lookup(ctx, &musterv1.LookupRequest{
		Selector: &musterv1.Selector{Names: &musterv1.Selector_Services{
			Services: &musterv1.ServiceNames{Names: []*musterv1.ServiceName{{Namespace: namespace, Service: service}}},
		}},
		Consistency: musterv1.Consistency_CONSISTENCY_LINEARIZABLE,
	})
	return answer.GetInstances(), err
}

func fields(i *musterv1.Instance) map[string]string {
	f := map[string]string{
		"weight": strconv.FormatUint(uint64(i.GetWeight()), 10), "version": i.GetVersion(),
		"zone": i.GetLocality().GetZone(), "region": i.GetLocality().GetRegion(),
		"lifecycle": i.GetLifecycle().String()[len("LIFECYCLE_"):], "health": i.GetHealth().String()[len("HEALTH_"):],
		"incarnation": strconv.FormatUint(i.GetIncarnation(), 10),
	}
	for _, e := range i.GetEndpoints() {
		f["address"] = e.GetAddress()
	}
	for key, value := range i.GetMetadata() {
		f["metadata."+key] = value
	}
	return f
}

// Drain begins to drain an instance and does not wait.
func (a *Actor) Drain(key string, timeout time.Duration) error {
	h, err := a.get(key)
	if err != nil {
		return err
	}
	a.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout+callTimeout)
		defer cancel()
		answer, err := a.registrar.Drain(ctx, &musterv1.DrainRequest{LeaseId: h.lease.GetLeaseId(), Timeout: durationpb.New(timeout)})
		h.drain <- drained{answer, err}
	})
	return nil
}

// Drained waits for the end of a drain and returns its report as fields.
func (a *Actor) Drained(ctx context.Context, key string) (map[string]string, error) {
	h, err := a.get(key)
	if err != nil {
		return nil, err
	}
	select {
	case d := <-h.drain:
		if d.err != nil {
			return nil, fmt.Errorf("drain %s: %w", key, d.err)
		}
		number := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
		return map[string]string{
			"result": d.response.GetResult().String()[len("DRAIN_RESULT_"):], "confirmed": number(d.response.GetConfirmed()),
			"behind": number(d.response.GetBehind()), "unconfirmable": number(d.response.GetUnconfirmable()),
			"disconnected":  number(d.response.GetDisconnected()),
			"safe-after-ms": strconv.FormatInt(d.response.GetSafeAfter().AsDuration().Milliseconds(), 10),
		}, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("drain %s: it is not over", key)
	}
}
