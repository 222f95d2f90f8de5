package muster

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	fanNamespace = payload.Namespace
	// perLease is how many instances one Register takes by default.
	perLease = 40
)

// Fan is the driver of a Muster server for the sections about watchers.
type Fan struct {
	*fan.Streams
	// leases are those of the instances, by service and instance.
	leases [][]string
	calls  atomic.Uint64
}

// Fan makes connections of its own to the server.
func (s *Server) Fan(conns int) (*Fan, error) { return DialFan(s.Conns.Conn(0).Target(), conns) }

// DialFan makes the driver.
func DialFan(target string, conns int) (*Fan, error) {
	s, err := fan.Dial(target, conns)
	if err != nil {
		return nil, err
	}
	return &Fan{Streams: s}, nil
}

// Address is the server's, host:port.
func (d *Fan) Address() string { return strings.TrimPrefix(d.Conn(0).Target(), "passthrough:///") }

// Fill implements fan.Driver.
func (d *Fan) Fill(ctx context.Context, services, instances int) error {
	d.leases = make([][]string, services)
	for s := range services {
		for first := 0; first < instances; first += perLease {
			n := min(perLease, instances-first)
			lease, err := d.register(ctx, s, first, n)
			if err != nil {
				return err
			}
			for range n {
				d.leases[s] = append(d.leases[s], lease)
			}
		}
	}
	return nil
}

func (d *Fan) register(ctx context.Context, service, first, n int) (string, error) {
	var instances []*musterv1.Instance
	for i := range n {
		instances = append(instances, payload.Instance(FanService(service), uint64(first+i))) //nolint:gosec // small
	}
	request := payload.RegisterRequest(0, payload.DefaultTTL, instances...)
	request.RequestId = rand.Text()
	var response musterv1.RegisterResponse
	err := d.call(ctx, service, musterv1.RegistrationService_Register_FullMethodName, request, &response)
	return response.GetLease().GetLeaseId(), err
}

// call makes a unary call and decodes the answer if there is anything to decode into.
func (d *Fan) call(ctx context.Context, conn int, method string, request, response proto.Message) error {
	encoded, err := proto.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode %s: %w", method, err)
	}
	return d.Call(ctx, conn, method, encoded, func(answer []byte) error {
		if response == nil {
			return nil
		}
		return proto.Unmarshal(answer, response)
	})
}

// FanService is the name of a service by its number.
func FanService(service int) string { return fmt.Sprintf("service-%05d", service) }

func fanUpdate(lease string, service, instance int) *musterv1.UpdateRequest {
	return &musterv1.UpdateRequest{
		LeaseId: lease, UpdateMask: weightOnly,
		Instance: &musterv1.Instance{
			Namespace: fanNamespace, Service: FanService(service), InstanceId: payload.InstanceID(uint64(instance)), //nolint:gosec // small
			Weight: proto.Uint32(fan.Now()),
		},
	}
}

var weightOnly = &fieldmaskpb.FieldMask{Paths: []string{"weight"}}

// Change implements fan.Driver: by an Update of the weight, which carries the
// stamp to the watchers.
func (d *Fan) Change(ctx context.Context, conn, service, instance int) error {
	request := fanUpdate(d.leases[service][instance], service, instance)
	if d.calls.Add(1)%raw.CheckEvery != 1 {
		return d.call(ctx, conn, musterv1.RegistrationService_Update_FullMethodName, request, nil)
	}
	var response musterv1.UpdateResponse
	err := d.call(ctx, conn, musterv1.RegistrationService_Update_FullMethodName, request, &response)
	if err == nil && response.GetRevision() == 0 {
		return fmt.Errorf("update of %s: the answer has no revision", request.GetInstance().GetInstanceId())
	}
	return err
}

// ChangeBytes is the size of the request that makes a change.
func (d *Fan) ChangeBytes() int { return proto.Size(fanUpdate(d.leases[0][0], 0, 0)) }

// Watch implements fan.Driver.
func (d *Fan) Watch(ctx context.Context, conn, service int, f func(*fan.Frame)) error {
	return d.WatchMany(ctx, conn, []int{service}, f)
}

// WatchMany watches several services on one stream, each by a subscription of
// its own, as the clients do. It returns when every one brought its state.
func (d *Fan) WatchMany(ctx context.Context, conn int, services []int, f func(*fan.Frame)) error {
	request := &musterv1.WatchRequest{}
	for i, s := range services {
		names := &musterv1.ServiceNames{Names: []*musterv1.ServiceName{{Namespace: fanNamespace, Service: FanService(s)}}}
		request.Subscriptions = append(request.Subscriptions, &musterv1.Subscription{
			SubscriptionId: uint32(i), Selector: &musterv1.Selector{Names: &musterv1.Selector_Services{Services: names}}, //nolint:gosec // small
		})
	}
	encoded, err := proto.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode the request to watch: %w", err)
	}
	s := &scanner{waiting: len(services)}
	return d.Open(ctx, conn, musterv1.DiscoveryService_Watch_FullMethodName, false, encoded, s.scan, f)
}
