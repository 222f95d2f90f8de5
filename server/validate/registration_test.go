package validate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/validate"
)

const lease = "lease-1"

func instances(n int) []*musterv1.Instance {
	var list []*musterv1.Instance
	for i := range n {
		in := typical()
		in.InstanceId = fmt.Sprintf("p%d", i)
		list = append(list, in)
	}
	return list
}

func TestRegister(t *testing.T) {
	type m = *musterv1.RegisterRequest
	ttl := func(d time.Duration) func(m) { return func(r m) { r.Ttl = durationpb.New(d) } }
	id := func(s string) func(m) { return func(r m) { r.RequestId = s } }
	previous := func(lease string, epoch, incarnation uint64) func(m) {
		return func(r m) {
			r.Claim = &musterv1.RegisterRequest_Previous{Previous: &musterv1.PreviousLease{LeaseId: lease, Epoch: epoch, Incarnation: incarnation}}
		}
	}
	takeOver := func(n int) func(m) {
		return func(r m) {
			r.Claim = &musterv1.RegisterRequest_TakeOver{TakeOver: &musterv1.TakeOver{Incarnations: make([]uint64, n)}}
		}
	}
	check(t, func() m { return register(typical()) }, everything.Register, []bound[m]{
		refused("no instance", "instances", func(r m) { r.Instances = nil }),
		accepted("40 instances", func(r m) { r.Instances = instances(40) }),
		{"41 instances", func(r m) { r.Instances = instances(41) }, "instances", limitExceeded},
		refused("an instance twice", "instances[1].instance_id", func(r m) { r.Instances = []*musterv1.Instance{typical(), typical()} }),
		accepted("one id in two services", func(r m) {
			r.Instances = append(r.Instances, typical())
			r.Instances[1].Service = "other"
		}),
		accepted("one id in two namespaces", func(r m) {
			r.Instances = append(r.Instances, typical())
			r.Instances[1].Namespace = "other"
		}),
		accepted("shortest ttl", ttl(time.Second)),
		refused("shorter ttl", "ttl", ttl(time.Second-time.Millisecond)),
		accepted("longest ttl", ttl(time.Hour)),
		refused("longer ttl", "ttl", ttl(time.Hour+time.Millisecond)),
		accepted("milliseconds", ttl(1500*time.Millisecond)),
		refused("microseconds", "ttl", ttl(1500*time.Millisecond+time.Microsecond)),
		refused("negative ttl", "ttl", ttl(-time.Second)),
		refused("zero ttl", "ttl", ttl(0)),
		refused("ttl of mixed signs", "ttl", func(r m) { r.Ttl = &durationpb.Duration{Seconds: 5, Nanos: -1} }),
		refused("ttl of too many nanoseconds", "ttl", func(r m) { r.Ttl = &durationpb.Duration{Seconds: 1, Nanos: 2_000_000_000} }),
		refused("ttl beyond int64", "ttl", func(r m) { r.Ttl = &durationpb.Duration{Seconds: 1 << 62} }),
		accepted("shortest request_id", id("aZ09-aZ09-aZ09-a")),
		refused("shorter request_id", "request_id", id("aZ09-aZ09-aZ09-")),
		accepted("longest request_id", id(strings.Repeat("a", 64))),
		refused("longer request_id", "request_id", id(strings.Repeat("a", 65))),
		refused("request_id with a dot", "request_id", id("aZ09-aZ09-aZ09-.")),
		accepted("previous", previous(lease, 1, 1)),
		refused("previous without lease", "previous.lease_id", previous("", 1, 1)),
		refused("previous without epoch", "previous.epoch", previous(lease, 0, 1)),
		refused("previous without incarnation", "previous.incarnation", previous(lease, 1, 0)),
		accepted("take over one", takeOver(1)),
		accepted("take over 40", takeOver(40)),
		refused("take over nobody", "take_over.incarnations", takeOver(0)),
		refused("take over 41", "take_over.incarnations", takeOver(41)),
		{"an endpoint that cannot be dialled", func(r m) { r.Instances[0].Endpoints[1].Address = ":80" }, "instances[0].endpoints[1].address", invalidEndpoint},
	})
}

func TestDefaultsOfDurations(t *testing.T) {
	if got := validate.TTL(nil); got != 15*time.Second {
		t.Errorf("TTL is %v", got)
	}
	if got := validate.TTL(durationpb.New(time.Minute)); got != time.Minute {
		t.Errorf("TTL is %v", got)
	}
	if got := validate.DrainTimeout(nil); got != 5*time.Second {
		t.Errorf("drain timeout is %v", got)
	}
	if got := validate.CheckInterval(nil); got != 10*time.Second {
		t.Errorf("check interval is %v", got)
	}
	if got := validate.CheckTimeout(nil); got != time.Second {
		t.Errorf("check timeout is %v", got)
	}
}

func TestDeregister(t *testing.T) {
	type m = *musterv1.DeregisterRequest
	key := func() *musterv1.InstanceKey {
		return &musterv1.InstanceKey{Namespace: "shop", Service: "pay", InstanceId: "p1"}
	}
	check(t, func() m {
		return &musterv1.DeregisterRequest{LeaseId: lease, Instances: []*musterv1.InstanceKey{key()}}
	},
		everything.Deregister, []bound[m]{
			accepted("all", func(r m) { r.Instances = nil }),
			refused("no lease", "lease_id", func(r m) { r.LeaseId = "" }),
			accepted("longest lease", func(r m) { r.LeaseId = strings.Repeat("a", 128) }),
			refused("too long a lease", "lease_id", func(r m) { r.LeaseId = strings.Repeat("a", 129) }),
			refused("no namespace", "instances[0].namespace", func(r m) { r.Instances[0].Namespace = "" }),
			refused("no service", "instances[0].service", func(r m) { r.Instances[0].Service = "" }),
			refused("no id", "instances[0].instance_id", func(r m) { r.Instances[0].InstanceId = "" }),
			refused("imported", "instances[0].instance_id", func(r m) { r.Instances[0].InstanceId = "p@eu" }),
			accepted("40", func(r m) { r.Instances = slices.Repeat(r.GetInstances(), 40) }),
			{"41", func(r m) { r.Instances = slices.Repeat(r.GetInstances(), 41) }, "instances", limitExceeded},
		})
}

func TestDrain(t *testing.T) {
	type m = *musterv1.DrainRequest
	timeout := func(d time.Duration) func(m) { return func(r m) { r.Timeout = durationpb.New(d) } }
	check(t, func() m { return &musterv1.DrainRequest{LeaseId: lease} }, everything.Drain, []bound[m]{
		refused("no lease", "lease_id", func(r m) { r.LeaseId = "" }),
		accepted("no waiting", timeout(0)),
		refused("negative", "timeout", timeout(-1)),
		accepted("longest", timeout(10*time.Minute)),
		refused("longer", "timeout", timeout(10*time.Minute+1)),
		refused("invalid", "timeout", func(r m) { r.Timeout = &durationpb.Duration{Seconds: 1, Nanos: -1} }),
		refused("bad key", "instances[0].service", func(r m) {
			r.Instances = []*musterv1.InstanceKey{{Namespace: "a", Service: "B", InstanceId: "c"}}
		}),
	})
}

func TestKeepAlive(t *testing.T) {
	type m = *musterv1.KeepAliveRequest
	good := func() m {
		return &musterv1.KeepAliveRequest{
			Sequence: 8, LeaseIds: []string{lease, "lease-2"},
			Reports: []*musterv1.HealthReport{{
				LeaseIndex: 1, Key: &musterv1.InstanceKey{Namespace: "shop", Service: "pay", InstanceId: "p1"},
				SelfHealth: &musterv1.SelfHealth{Health: musterv1.Health_HEALTH_DEGRADED},
			}},
		}
	}
	check(t, good, func(r m) error { return everything.KeepAlive(r, 7) }, []bound[m]{
		accepted("a later sequence", func(r m) { r.Sequence = 1 << 63 }),
		refused("the same sequence", "sequence", func(r m) { r.Sequence = 7 }),
		accepted("1024 leases", func(r m) { r.LeaseIds = slices.Repeat([]string{lease}, 1024) }),
		{"1025 leases", func(r m) { r.LeaseIds = slices.Repeat([]string{lease}, 1025) }, "lease_ids", limitExceeded},
		refused("empty lease", "lease_ids[1]", func(r m) { r.LeaseIds[1] = "" }),
		refused("index of no lease", "reports[0].lease_index", func(r m) { r.Reports[0].LeaseIndex = 2 }),
		refused("no key", "reports[0].key.namespace", func(r m) { r.Reports[0].Key.Namespace = "" }),
		refused("no health", "reports[0].self_health", func(r m) { r.Reports[0].SelfHealth = nil }),
		refused("unknown health", "reports[0].self_health.health", func(r m) { r.Reports[0].SelfHealth.Health = 4 }),
		refused("long reason", "reports[0].self_health.reason", func(r m) { r.Reports[0].SelfHealth.Reason = strings.Repeat("r", 257) }),
	})
	if err := everything.KeepAlive(&musterv1.KeepAliveRequest{Sequence: 1}, 0); err != nil {
		t.Errorf("a first request without leases: %v", err)
	}
	if err := everything.KeepAlive(&musterv1.KeepAliveRequest{}, 0); err == nil {
		t.Error("sequence 0 is accepted")
	}
}
