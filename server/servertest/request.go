package servertest

import (
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

var requests atomic.Uint64

// Instance is a valid instance.
func Instance(service, id string) *musterv1.Instance {
	return &musterv1.Instance{
		Namespace: "shop", Service: service, InstanceId: id, Version: "1.0.0",
		Endpoints: []*musterv1.Endpoint{{Name: "grpc", Address: "10.0.0.1:8080"}},
	}
}

// Register is a valid request to register instances.
func Register(ttl time.Duration, in ...*musterv1.Instance) *musterv1.RegisterRequest {
	return &musterv1.RegisterRequest{
		Instances: in, Ttl: durationpb.New(ttl),
		RequestId: fmt.Sprintf("request-%016d", requests.Add(1)),
	}
}

// Services selects services of the namespace shop.
func Services(names ...string) *musterv1.Selector {
	list := &musterv1.ServiceNames{}
	for _, n := range names {
		list.Names = append(list.Names, &musterv1.ServiceName{Namespace: "shop", Service: n})
	}
	return &musterv1.Selector{Names: &musterv1.Selector_Services{Services: list}}
}

// Key is an instance's key.
func Key(service, id string) *musterv1.InstanceKey {
	return &musterv1.InstanceKey{Namespace: "shop", Service: service, InstanceId: id}
}
