package muster

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/muster-registry/muster/bench/fan"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	fanNamespace = "fan"
	// fanTTL outlives every section, so that nobody need renew.
	fanTTL = time.Hour
	// perLease is how many instances one Register takes by default.
	perLease = 40
	// oneIn so many messages is decoded wholly and compared with what the scan found.
	oneIn = 256
)

// Fan is the driver of a Muster server for the sections about watchers.
type Fan struct {
	*fan.Streams
	// leases are those of the instances, by service and instance.
	leases [][]string
	calls  atomic.Uint64
}

// DialFan makes the driver.
func DialFan(address string, conns int) (*Fan, error) {
	s, err := fan.Dial(address, conns)
	if err != nil {
		return nil, err
	}
	return &Fan{Streams: s}, nil
}

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
	request := &musterv1.RegisterRequest{Ttl: durationpb.New(fanTTL), RequestId: rand.Text()}
	for i := range n {
		request.Instances = append(request.Instances, fanInstance(service, first+i))
	}
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

func fanKey(service, instance int) *musterv1.Instance {
	return &musterv1.Instance{
		Namespace: fanNamespace, Service: FanService(service), InstanceId: fmt.Sprintf("instance-%05d", instance),
	}
}

// fanInstance is an instance of about 250 bytes.
func fanInstance(service, instance int) *musterv1.Instance {
	in := fanKey(service, instance)
	in.Version = "1.14.3"
	in.Endpoints = []*musterv1.Endpoint{
		{Name: "grpc", Address: fmt.Sprintf("10.%d.%d.%d:8443", service%250, instance>>8, instance&255), Protocol: musterv1.Protocol_PROTOCOL_GRPC},
		{Name: "admin", Address: fmt.Sprintf("10.%d.%d.%d:9090", service%250, instance>>8, instance&255), Protocol: musterv1.Protocol_PROTOCOL_HTTP},
	}
	in.Locality = &musterv1.Locality{Region: "eu-west", Zone: "eu-west-1a"}
	in.Weight = proto.Uint32(100)
	in.Metadata = map[string]string{"build": "4f1c2d9a7b", "team": "payments", "commit": "9f2e61c07d53"}
	return in
}

var weightOnly = &fieldmaskpb.FieldMask{Paths: []string{"weight"}}

// Change implements fan.Driver: by an Update of the weight, which carries the
// stamp to the watchers.
func (d *Fan) Change(ctx context.Context, conn, service, instance int) error {
	in := fanKey(service, instance)
	in.Weight = proto.Uint32(fan.Now())
	request := &musterv1.UpdateRequest{LeaseId: d.leases[service][instance], Instance: in, UpdateMask: weightOnly}
	var response *musterv1.UpdateResponse
	check := d.calls.Add(1)%oneIn == 0
	if check {
		response = &musterv1.UpdateResponse{}
	}
	err := d.call(ctx, conn, musterv1.RegistrationService_Update_FullMethodName, request, response)
	if err == nil && check && response.GetRevision() == 0 {
		return fmt.Errorf("update of %s: the answer has no revision", in.GetInstanceId())
	}
	return err
}

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
