package muster

import (
	"strings"
	"testing"
)

func goodSpec() InstanceSpec {
	return InstanceSpec{Namespace: "shop", Service: "pay", ID: "pay-7", Endpoints: []EndpointSpec{{Name: "grpc", Address: "10.0.0.5:8080"}}}
}

func TestAddressTable(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{"10.0.0.5:8080", ""},
		{"[fd00::7]:8080", ""},
		{"pay-7.shop.svc:8080", ""},
		{"localhost:1", ""},
		{"0.0.0.0:8080", "cannot be dialled by others"},
		{"[::]:8080", "cannot be dialled by others"},
		{":8080", "cannot be dialled by others"},
		{"10.0.0.5:0", "cannot be dialled by others"},
		{"10.0.0.5", "is not allowed"},
		{"10.0.0.5:http", "is not allowed"},
		{"10.0.0.5:70000", "is not allowed"},
		{"10.0.0.256:80", "is not allowed"},
		{"fd00::7:8080", "is not allowed"},
		{"a b:80", "is not allowed"},
		{"", "is not allowed"},
	} {
		spec := goodSpec()
		spec.Endpoints[0].Address = c.address
		err := spec.validate()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%q: %v", c.address, err)
		case c.want != "" && (err == nil || err.Reason != ReasonInvalidEndpoint || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: %v, want INVALID_ENDPOINT: %s", c.address, err, c.want)
		}
	}
}

func TestSpecsAreCheckedBeforeAnythingIsSent(t *testing.T) {
	heavy := uint32(1_000_001)
	many := map[string]string{"k": strings.Repeat("x", 17<<10)}
	for name, change := range map[string]func(*InstanceSpec){
		"namespace \"Shop\"":         func(s *InstanceSpec) { s.Namespace = "Shop" },
		"service \"-pay\"":           func(s *InstanceSpec) { s.Service = "-pay" },
		"instance_id \"two words\"":  func(s *InstanceSpec) { s.ID = "two words" },
		"version \"v1\"":             func(s *InstanceSpec) { s.Version = "v1" },
		"weight \"1000001\"":         func(s *InstanceSpec) { s.Weight = &heavy },
		"lifecycle \"DRAINING\"":     func(s *InstanceSpec) { s.Lifecycle = Draining },
		"endpoint name \"Grpc\"":     func(s *InstanceSpec) { s.Endpoints[0].Name = "Grpc" },
		"endpoint name \"grpc\"":     func(s *InstanceSpec) { s.Endpoints = append(s.Endpoints, s.Endpoints[0]) },
		"metadata key \"a b\"":       func(s *InstanceSpec) { s.Metadata = map[string]string{"a b": ""} },
		"metadata \"1 keys, 17409 b": func(s *InstanceSpec) { s.Metadata = many },
		"capability \"a\"":           func(s *InstanceSpec) { s.Capabilities = []string{"a", "a"} },
		"zone \"zzz":                 func(s *InstanceSpec) { s.Locality.Zone = strings.Repeat("z", 64) },
		"shard ids \"[2, 1]\"":       func(s *InstanceSpec) { s.Shard = &Shard{IDs: []uint32{2, 1}} },
		"health reason \"rrr":        func(s *InstanceSpec) { s.HealthReason = strings.Repeat("r", 257) },
	} {
		spec := goodSpec()
		change(&spec)
		if err := spec.validate(); err == nil || !strings.Contains(err.Error(), name+"") || !strings.Contains(err.Error(), "is not allowed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	spec := goodSpec()
	if err := spec.validate(); err != nil {
		t.Errorf("a good one: %v", err)
	}
}
