package validate_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/validate"
)

func reasonOf(err error) musterv1.ErrorReason {
	var invalid *validate.Error
	if !errors.As(err, &invalid) {
		return musterv1.ErrorReason_ERROR_REASON_UNSPECIFIED
	}
	return invalid.Reason()
}

func TestEveryViolationIsReportedAtOnce(t *testing.T) {
	bad := typical()
	bad.Namespace = "Shop"
	bad.Endpoints[1].Address = "0.0.0.0:9090"
	bad.Capabilities = []string{"a", "a"}
	request := register(typical(), bad)
	request.RequestId = "short"
	err := everything.Register(request)
	want := []string{"instances[1].namespace", "instances[1].endpoints[1].address", "instances[1].capabilities[1]", "request_id"}
	if diff := cmp.Diff(want, fields(t, err)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	for _, text := range []string{`instances[1].endpoints[1].address: "0.0.0.0:9090" cannot be dialled by others`, `request_id: "short" must be 16 to 64`} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not contain %q", err, text)
		}
	}
	if reasonOf(err) != invalidArgument {
		t.Errorf("reason is %v", reasonOf(err))
	}
}

func TestReasonIsTheFirstOfTheContract(t *testing.T) {
	in := typical()
	in.Endpoints[0].Address = "x"
	in.Checks = []*musterv1.HealthCheck{{}}
	v := validate.New(validate.DefaultLimits())
	if got := reasonOf(v.Instance(in)); got != invalidEndpoint {
		t.Errorf("endpoint and feature: %v", got)
	}
	in.Namespace = ""
	if got := reasonOf(v.Instance(in)); got != invalidArgument {
		t.Errorf("name, endpoint and feature: %v", got)
	}
}

func TestMetadataOfErrors(t *testing.T) {
	limits := validate.DefaultLimits()
	limits.InstancesPerLease = 1
	other := typical()
	other.InstanceId = "other"
	var invalid *validate.Error
	if !errors.As(validate.New(limits).Register(register(typical(), other)), &invalid) {
		t.Fatal("no error")
	}
	want := map[string]string{"limit": "instances_per_lease", "maximum": "1", "value": "2"}
	if diff := cmp.Diff(want, invalid.Metadata()); diff != "" {
		t.Error(diff)
	}
	in := typical()
	in.Checks = []*musterv1.HealthCheck{{}}
	if !errors.As(validate.New(limits).Instance(in), &invalid) || invalid.Metadata()["feature"] != "checks" {
		t.Errorf("metadata is %v", invalid.Metadata())
	}
	in.Checks, in.Namespace = nil, ""
	if !errors.As(validate.New(limits).Instance(in), &invalid) || invalid.Metadata() != nil {
		t.Errorf("metadata is %v", invalid.Metadata())
	}
}

func TestErrorsAreBounded(t *testing.T) {
	in := typical()
	in.Metadata = map[string]string{}
	for _, c := range capabilities(64) {
		in.Metadata[c+"!"+strings.Repeat("é", 100)] = ""
	}
	var invalid *validate.Error
	if !errors.As(everything.Instance(in), &invalid) {
		t.Fatal("no error")
	}
	if len(invalid.Violations) != validate.MaxViolations || invalid.Omitted != 64-validate.MaxViolations {
		t.Errorf("%d violations, %d omitted", len(invalid.Violations), invalid.Omitted)
	}
	total := 0
	for _, v := range invalid.Violations {
		total += len(v.Field) + len(v.Value) + len(v.Problem)
		if len(v.Value) > validate.MaxValueBytes+3 || !utf8.ValidString(v.Value) {
			t.Errorf("value %q", v.Value)
		}
	}
	if total > 8<<10 {
		t.Errorf("%d bytes do not fit into trailers", total)
	}
	if !strings.HasSuffix(invalid.Error(), "; and 44 more") {
		t.Errorf("error is %q", invalid.Error())
	}
}

func TestErrorsOfEqualRequestsAreEqual(t *testing.T) {
	texts := map[string]bool{}
	for range 20 {
		in := typical()
		in.Metadata = map[string]string{"a!": "", "b!": "", "c!": "", "d!": ""}
		texts[everything.Instance(in).Error()] = true
	}
	if len(texts) != 1 {
		t.Errorf("%d different texts", len(texts))
	}
}

func TestSecretsAreNotRepeated(t *testing.T) {
	secret := strings.Repeat("s3cret", 30)
	for _, err := range []error{
		everything.Deregister(&musterv1.DeregisterRequest{LeaseId: secret}),
		everything.KeepAlive(&musterv1.KeepAliveRequest{Sequence: 1, LeaseIds: []string{secret}}, 0),
		everything.Register(&musterv1.RegisterRequest{Claim: &musterv1.RegisterRequest_Previous{Previous: &musterv1.PreviousLease{LeaseId: secret}}}),
	} {
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("error is %v", err)
		}
	}
}
