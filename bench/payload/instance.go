// Package payload makes the messages that the load generators send: instances
// of about 250 bytes, whose encoded form is made once and of which only the
// digits that differ are written anew for each request.
package payload

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// Namespace is that of all services.
	Namespace = "bench"
	// ServiceInstances is how many instances with following keys share a service.
	ServiceInstances = 1000
	// DefaultTTL is long enough that no lease ends during a run.
	DefaultTTL = time.Hour
	// serviceDigits and keyDigits are the lengths of the numbers in names.
	serviceDigits, keyDigits = 7, 10
)

// Service is the name of the service that an instance belongs to.
func Service(key uint64) string {
	return fmt.Sprintf("svc-%0*d", serviceDigits, key/ServiceInstances)
}

// InstanceID is the id of an instance.
func InstanceID(key uint64) string { return fmt.Sprintf("instance-%0*d", keyDigits, key) }

// Instance is the instance of a key in a service, as its process would register it.
func Instance(service string, key uint64) *musterv1.Instance {
	return &musterv1.Instance{
		Namespace: Namespace, Service: service, InstanceId: InstanceID(key), Version: "1.42.3",
		Endpoints: []*musterv1.Endpoint{{
			Name: "grpc", Address: fmt.Sprintf("10.%d.%d.%d:50051", key>>16&255, key>>8&255, key&255),
			Protocol: musterv1.Protocol_PROTOCOL_GRPC, Security: musterv1.TransportSecurity_TRANSPORT_SECURITY_PLAINTEXT,
		}},
		Locality:  &musterv1.Locality{Region: "eu-central", Zone: "eu-central-1a"},
		Weight:    proto.Uint32(100),
		Lifecycle: musterv1.Lifecycle_LIFECYCLE_SERVING,
		Metadata: map[string]string{
			"build": "20261122-1830-6372f65", "owner": "team-payments", "track": "stable",
			"machine": "c7-standard-8",
		},
		Capabilities: []string{"batch", "stream-v2"},
	}
}

// RegisterRequest registers instances under one lease. The request's id is
// made of the key.
func RegisterRequest(key uint64, ttl time.Duration, instances ...*musterv1.Instance) *musterv1.RegisterRequest {
	if ttl == 0 {
		ttl = DefaultTTL
	}
	return &musterv1.RegisterRequest{
		Instances: instances, Ttl: durationpb.New(ttl), RequestId: fmt.Sprintf("request-%0*d", keyDigits, key),
	}
}

// Encode encodes a message; those here always can be.
func Encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", m, err))
	}
	return b
}
