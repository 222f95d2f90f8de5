package validate_test

import (
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/validate"
)

const (
	invalidArgument  = musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT
	invalidEndpoint  = musterv1.ErrorReason_ERROR_REASON_INVALID_ENDPOINT
	limitExceeded    = musterv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED
	featureNotServed = musterv1.ErrorReason_ERROR_REASON_FEATURE_NOT_SERVED
)

// everything serves every feature with the default limits.
var everything = validate.New(validate.DefaultLimits(), validate.AllFeatures()...)

// typical is an instance as real ones are.
func typical() *musterv1.Instance {
	return &musterv1.Instance{
		Namespace: "shop", Service: "payments", InstanceId: "payments-7f9c4-x2x9z", Version: "1.14.2",
		Endpoints: []*musterv1.Endpoint{
			{Name: "grpc", Address: "10.0.3.17:8443", Protocol: musterv1.Protocol_PROTOCOL_GRPC, Security: musterv1.TransportSecurity_TRANSPORT_SECURITY_TLS},
			{Name: "admin", Address: "payments-7.shop.internal:9090", Protocol: musterv1.Protocol_PROTOCOL_HTTP},
		},
		Locality: &musterv1.Locality{Region: "eu-west", Zone: "eu-west-1a"},
		Weight:   proto.Uint32(200),
		Metadata: map[string]string{"team": "checkout", "tier": "gold", "commit": "6f0c2a"},
		Capabilities: []string{
			"resume", "zip",
		},
		SchemaVersion: 3,
		SelfHealth:    &musterv1.SelfHealth{Health: musterv1.Health_HEALTH_HEALTHY},
	}
}

func register(in ...*musterv1.Instance) *musterv1.RegisterRequest {
	return &musterv1.RegisterRequest{Instances: in, RequestId: "0123456789abcdef"}
}

// fields returns the fields that an error names; nil for no error.
func fields(t testing.TB, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var invalid *validate.Error
	if !errors.As(err, &invalid) {
		t.Fatalf("%v (%T) is no *validate.Error", err, err)
	}
	var names []string
	for _, v := range invalid.Violations {
		if v.Problem == "" || v.Reason == 0 {
			t.Errorf("violation %+v lacks a problem or a reason", v)
		}
		names = append(names, v.Field)
	}
	return slices.Compact(names)
}

// bound is one case of a bound: what it does to a good message, and the field
// that must be refused, or none.
type bound[M any] struct {
	name   string
	change func(M)
	field  string
	reason musterv1.ErrorReason
}

// accepted makes a case that must be accepted.
func accepted[M any](name string, change func(M)) bound[M] {
	return bound[M]{name: name, change: change}
}

// refused makes a case that must be refused for INVALID_ARGUMENT.
func refused[M any](name, field string, change func(M)) bound[M] {
	return bound[M]{name, change, field, invalidArgument}
}

// check runs cases against a check of messages made by good.
func check[M any](t *testing.T, good func() M, judge func(M) error, cases []bound[M]) {
	t.Helper()
	if err := judge(good()); err != nil {
		t.Fatalf("the good message is refused: %v", err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := good()
			c.change(m)
			err := judge(m)
			if c.field == "" {
				if err != nil {
					t.Fatalf("is refused: %v", err)
				}
				return
			}
			if got := fields(t, err); !slices.Equal(got, []string{c.field}) {
				t.Fatalf("refuses %q, want %q (%v)", got, c.field, err)
			}
			var invalid *validate.Error
			if errors.As(err, &invalid); invalid.Reason() != c.reason {
				t.Fatalf("reason is %v, want %v (%v)", invalid.Reason(), c.reason, err)
			}
		})
	}
}
