package muster

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func TestDesiredDiffIsWhatIsNeededAndNoMore(t *testing.T) {
	draw := func(t *rapid.T, label string) *musterv1.Instance {
		i := instance("pay", "pay-1")
		if rapid.Bool().Draw(t, label+" weighs") {
			i.Weight = proto.Uint32(rapid.Uint32Range(0, 2).Draw(t, label+" weight"))
		}
		i.Lifecycle = musterv1.Lifecycle(rapid.Int32Range(1, 3).Draw(t, label+" lifecycle"))
		i.Metadata = rapid.MapOf(rapid.SampledFrom([]string{"a", "b"}), rapid.SampledFrom([]string{"1", "2"})).Draw(t, label+" metadata")
		if rapid.Bool().Draw(t, label+" reports") {
			i.SelfHealth = &musterv1.SelfHealth{Health: musterv1.Health(rapid.Int32Range(0, 3).Draw(t, label+" health"))}
		}
		return i
	}
	rapid.Check(t, func(t *rapid.T) {
		have, want := draw(t, "have"), draw(t, "want")
		fields := changedFields(have, want)
		next := proto.CloneOf(have)
		copyFields(next, patch(want, fields), fields)
		if left := changedFields(next, want); len(left) > 0 {
			t.Fatalf("after sending %v there is left %v", fields, left)
		}
		for drop := range fields {
			some := append(append([]string{}, fields[:drop]...), fields[drop+1:]...)
			part := proto.CloneOf(have)
			copyFields(part, want, some)
			if len(changedFields(part, want)) == 0 {
				t.Fatalf("%v was sent, %v would do", fields, some)
			}
		}
		if len(changedFields(want, want)) != 0 {
			t.Fatal("an instance differs from itself")
		}
	})
}

func TestStory2UnspecifiedAddress(t *testing.T) {
	c, err := New([]string{"127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer closeClient(t, c)
	for _, address := range []string{"0.0.0.0:8080", ":8080", "[::]:8080", "10.0.0.1:0"} {
		s := spec("pay-1")
		s.Endpoints[0].Address = address
		_, err := c.Register(t.Context(), s)
		want := fmt.Sprintf("muster: endpoint \"grpc\" of shop/pay: address %s cannot be dialled by others; "+
			"pass a reachable address or use AdvertiseFrom(listener) [INVALID_ENDPOINT]", address)
		if err == nil || err.Error() != want {
			t.Errorf("address %q: %v\nwant %s", address, err, want)
		}
	}
}

func TestAdvertiseFrom(t *testing.T) {
	for _, c := range []struct{ listener, advertise, pod, want string }{
		{"10.0.0.1:8080", "10.1.1.1", "10.9.8.7", "10.0.0.1:8080"},
		{"0.0.0.0:8080", "10.1.1.1:9", "10.9.8.7", "10.1.1.1:9"},
		{"[::]:8080", "", "10.9.8.7", "10.9.8.7:8080"},
	} {
		t.Setenv("MUSTER_ADVERTISE", c.advertise)
		t.Setenv("POD_IP", c.pod)
		if got, err := AdvertiseFrom(listenerAt(c.listener)); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.listener, got, err, c.want)
		}
	}
	t.Setenv("POD_IP", "here")
	_, err := AdvertiseFrom(listenerAt("[::]:8080"))
	want := `muster: environment variable POD_IP is "here": use an IP address that others can dial [INVALID_ENDPOINT]`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// Whatever machine this runs on has a loopback interface.
func TestInterfaceAddresses(t *testing.T) {
	all := interfaceAddresses()
	if !slices.ContainsFunc(all, func(a rules.InterfaceAddress) bool { return a.Address == "127.0.0.1" && a.Interface != "" }) {
		t.Errorf("127.0.0.1 is not in %v", all)
	}
}

// listenerAt is a listener and an address in one, for tests.
type listenerAt string

func (l listenerAt) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (l listenerAt) Close() error              { return nil }
func (l listenerAt) Addr() net.Addr            { return l }
func (l listenerAt) Network() string           { return "tcp" }
func (l listenerAt) String() string            { return string(l) }

func TestNewValidates(t *testing.T) {
	ok := []string{"127.0.0.1:7070"}
	for _, c := range []struct {
		name    string
		servers []string
		options []Option
		want    string
	}{
		{"no server", nil, nil, "no registry servers given"},
		{"no port", []string{"registry"}, nil, `registry server "registry" is no host:port`},
		{"a URL", []string{"http://registry:7070"}, nil, "is no host:port"},
		{"TTL too short", ok, []Option{WithTTL(time.Second - 1)}, "option TTL: 999.999999ms is not allowed; use 1s to 1h"},
		{"TTL too long", ok, []Option{WithTTL(time.Hour + time.Millisecond)}, "use 1s to 1h"},
		{"stale before fresh ends", ok, []Option{WithFreshness(time.Minute, time.Minute)}, "the second longer"},
		{"a name of control characters", ok, []Option{WithName("a\nb")}, "printable"},
		{"no logger", ok, []Option{WithLogger(nil)}, "leave the option out"},
		{"no dial", ok, []Option{WithDial(nil)}, "leave the option out"},
	} {
		_, err := New(c.servers, c.options...)
		if ReasonOf(err) != ReasonInvalidArgument || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestSelectorsOfEqualMeaningHaveOneKey(t *testing.T) {
	a := Selector{
		Services: []ServiceName{{"shop", "pay"}, {"shop", "cart"}, {"shop", "pay"}},
		Filter: Filter{
			Capabilities: []string{"b", "a"}, Zones: []string{"z", "z"}, Healths: []Health{Degraded, Healthy},
			Metadata: []MetadataMatch{{Key: "y"}, {Key: "x", Values: []string{"2", "1"}}},
		},
	}
	b := Selector{
		Services: []ServiceName{{"shop", "cart"}, {"shop", "pay"}},
		Filter: Filter{
			Capabilities: []string{"a", "b", "a"}, Zones: []string{"z"}, Healths: []Health{Healthy, Degraded},
			Metadata: []MetadataMatch{{Key: "x", Values: []string{"1", "2", "2"}}, {Key: "y"}},
		},
	}
	if a.key() != b.key() {
		t.Errorf("keys differ:\n%v\n%v", a.proto(), b.proto())
	}
	b.Filter.VersionRange = ">=1.0.0"
	if a.key() == b.key() {
		t.Error("different selectors have one key")
	}
	if Service("shop", "pay").proto().GetFilter() != nil {
		t.Error("an empty filter is sent")
	}
}

func TestSelectorsAreValidated(t *testing.T) {
	for name, s := range map[string]Selector{
		"nothing":                    {},
		"both forms":                 {Services: []ServiceName{{"shop", "pay"}}, Prefix: &ServicePrefix{Namespace: "shop"}},
		"a bad namespace":            Service("Shop", "pay"),
		"a bad service":              Service("shop", "-pay"),
		"an empty service":           Service("shop", ""),
		"a bad namespace of prefix":  {Prefix: &ServicePrefix{Namespace: "Shop"}},
		"a bad version range":        {Services: []ServiceName{{"shop", "pay"}}, Filter: Filter{VersionRange: "latest"}},
		"a prefix without namespace": {Prefix: &ServicePrefix{Prefix: "p"}},
	} {
		if err := s.validate(); err == nil || err.Reason != ReasonInvalidArgument || err.Op != "select" || err.Subject != s.String() {
			t.Errorf("%s: %+v", name, err)
		}
	}
	for name, s := range map[string]Selector{
		"a service":     Service("shop", "pay.v2_x"),
		"a prefix":      {Prefix: &ServicePrefix{Namespace: "shop", Prefix: "pa"}},
		"all there are": {Prefix: &ServicePrefix{}},
	} {
		if err := s.validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	filtered := Selector{Prefix: &ServicePrefix{Namespace: "shop", Prefix: "p"}, Filter: Filter{Zones: []string{"a"}}}
	if got := filtered.String(); got != "shop/p* (filtered)" {
		t.Errorf("text %q", got)
	}
}

func TestTexts(t *testing.T) {
	pay := ServiceName{"shop", "pay"}
	for _, c := range []struct{ story, got, want string }{
		{"7", textServiceUnknown(ServiceName{"shop", "paymnets"}, Position{7, 812}, []string{"shop/payments"}), `service "shop/paymnets" has never been registered (epoch 7, revision 812); similar: shop/payments`},
		{"8", textLastOneWent(pay, "deregistered", 12*time.Second, "pay-7", 811), "shop/pay has no instances: the last one deregistered 12s ago (pay-7, revision 811)"},
		{"11, complete", DrainReport{Complete: true, Confirmed: 14, Took: 38 * time.Millisecond}.String(), "drained: 14/14 watchers confirmed in 38ms"},
		{"11, behind", DrainReport{Confirmed: 12, Behind: 2, BehindWatchers: []DrainWatcher{{"go-orders-3", "10.0.0.9:40000"}}, Took: 5 * time.Second}.String(), "2 of 14 unconfirmed after 5s: go-orders-3 …"},
		{"11, without a name", DrainReport{Confirmed: 12, Behind: 2, BehindWatchers: []DrainWatcher{{"", "10.0.0.9:40000"}}, Took: 5 * time.Second}.String(), "2 of 14 unconfirmed after 5s: 10.0.0.9:40000 …"},
		{"11, nobody told", DrainReport{Confirmed: 12, Behind: 2, Took: 5 * time.Second}.String(), "2 of 14 unconfirmed after 5s …"},
		{"13", textFenced(map[string]string{"lease": "9f40", "incarnation": "812", "address": "10.0.3.7:51122"}), "fenced by lease 9f40 from 10.0.3.7:51122; giving up"},
		{"13, incarnation only", textFenced(map[string]string{"incarnation": "812"}), "fenced by incarnation 812; giving up"},
		{"13, nothing", textFenced(nil), "fenced by a newer lease; giving up"},
		{"14", textPlaintext("10.0.0.5:7070"), "server 10.0.0.5:7070 speaks plaintext, TLS was configured"},
	} {
		if c.got != c.want {
			t.Errorf("story %s:\n%s\nwant\n%s", c.story, c.got, c.want)
		}
	}
	for ms, want := range map[int64]string{
		-1: "0ms", 38: "38ms", 999: "999ms", 1000: "1s", 1949: "1.9s", 9999: "9.9s", 12_345: "12s", 125_000: "2m05s", 11_520_000: "3h12m",
	} {
		if got := seconds(time.Duration(ms) * time.Millisecond); got != want {
			t.Errorf("%d ms reads %q, want %q", ms, got, want)
		}
	}
}

func TestErrorsCarryTheirReason(t *testing.T) {
	st, err := status.New(codes.InvalidArgument, "two fields are wrong").WithDetails(
		&errdetails.ErrorInfo{Domain: "muster", Reason: "INVALID_ARGUMENT", Metadata: map[string]string{"k": "v"}},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "instances[0].version", Description: "no semantic version"}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	e := fromStatus(t.Context(), st.Err(), "register", "shop/pay/pay-1", "10.0.0.5:7070")
	if got, want := e.Error(), "muster: register shop/pay/pay-1: server 10.0.0.5:7070: two fields are wrong [INVALID_ARGUMENT]"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	if diff := cmp.Diff([]Violation{{"instances[0].version", "no semantic version"}}, e.Violations); diff != "" {
		t.Error(diff)
	}
	wrapped := fmt.Errorf("starting: %w", e)
	if ReasonOf(wrapped) != ReasonInvalidArgument || errors.Is(wrapped, ErrFenced) || e.Retryable() {
		t.Errorf("reason %q, retryable %v", ReasonOf(wrapped), e.Retryable())
	}
	again := status.Convert(e)
	if again.Code() != codes.InvalidArgument || len(again.Details()) != 1 {
		t.Errorf("as a status: %v", again)
	}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{status.Error(codes.Unavailable, "x"), true},
		{status.Error(codes.Canceled, "a reset that we did not ask for"), true},
		{status.Error(codes.Unknown, "a reset"), true},
		{status.Error(codes.Internal, "x"), false},
		{status.Error(codes.Unimplemented, "x"), false},
	} {
		if got := fromStatus(t.Context(), c.err, "lookup", "", "").Retryable(); got != c.want {
			t.Errorf("%v: retryable %v", c.err, got)
		}
	}
}

func TestReasonsAreThoseOfTheContract(t *testing.T) {
	for number := range musterv1.ErrorReason_name {
		reason := reasonOf(musterv1.ErrorReason(number))
		_, known := rules.RowOf(string(reason))
		if (reason == "") != (number == 0) || known != (number != 0) {
			t.Errorf("reason %d reads %q, and the rule of errors knows it: %v", number, reason, known)
		}
	}
	if want := len(musterv1.ErrorReason_name) - 1; len(rules.Rows) != want {
		t.Errorf("the rule of errors has %d reasons, the contract %d", len(rules.Rows), want)
	}
	newer := Reason("NEW_IN_2030")
	if !newer.row(codes.Unavailable).Retryable() || newer.row(codes.NotFound).Retryable() {
		t.Error("a reason that is not known must go by its code")
	}
}

func TestSimilarNames(t *testing.T) {
	known := []ServiceName{
		{"shop", "payments"}, {"shop", "payment"}, {"shop", "pay"}, {"shop", "cart"}, {"shop", "card"}, {"other", "payments"},
	}
	for wanted, want := range map[string][]string{
		"paymnets":    {"shop/payments", "shop/payment"},
		"crat":        {"shop/cart", "shop/card"},
		"pay":         nil,
		"warehousing": nil,
	} {
		if diff := cmp.Diff(want, similar(ServiceName{"shop", wanted}, known)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", wanted, diff)
		}
	}
}
