package main

import (
	"strconv"
	"strings"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	defaultEndpoint = "grpc"
	defaultWeight   = 100
)

var instanceHeading = []string{"ID", "VERSION", "ENDPOINTS", "HEALTH", "LIFECYCLE", "WEIGHT", "ZONE", "AGE"}

// instanceRow is an instance in a table.
func instanceRow(i *musterv1.Instance, now time.Time) []string {
	created := ""
	if t := i.GetCreateTime(); t != nil {
		created = age(now.Sub(t.AsTime()))
	}
	return []string{
		i.GetInstanceId(), i.GetVersion(), endpointsText(i.GetEndpoints()), healthText(i), lifecycleText(i.GetLifecycle()),
		weightText(i), i.GetLocality().GetZone(), created,
	}
}

// endpointsText is "name=address" of each endpoint, with the protocol where
// it is not that of gRPC in plaintext.
func endpointsText(endpoints []*musterv1.Endpoint) string {
	parts := make([]string, len(endpoints))
	for i, e := range endpoints {
		parts[i] = e.GetName() + "=" + schemePrefix(e) + e.GetAddress()
	}
	return strings.Join(parts, ",")
}

// healthText is the verdict, and in brackets the sources that brought it about.
func healthText(i *musterv1.Instance) string {
	var sources []string
	for _, s := range i.GetHealthSlots() {
		source := strings.ToLower(short(s.GetSource(), "HEALTH_SOURCE_"))
		if s.GetReason() != "" {
			source += ": " + s.GetReason()
		}
		sources = append(sources, source)
	}
	text := healthName(i.GetHealth())
	if len(sources) > 0 {
		text += " (" + strings.Join(sources, "; ") + ")"
	}
	return text
}

func healthName(h musterv1.Health) string {
	if h == musterv1.Health_HEALTH_UNSPECIFIED {
		h = musterv1.Health_HEALTH_HEALTHY
	}
	return short(h, "HEALTH_")
}

func lifecycleText(l musterv1.Lifecycle) string {
	if l == musterv1.Lifecycle_LIFECYCLE_UNSPECIFIED {
		l = musterv1.Lifecycle_LIFECYCLE_SERVING
	}
	return short(l, "LIFECYCLE_")
}

func weightText(i *musterv1.Instance) string {
	if i.Weight == nil {
		return strconv.Itoa(defaultWeight)
	}
	return strconv.FormatUint(uint64(i.GetWeight()), 10)
}

// placeText is "region/zone", as far as known.
func placeText(l *musterv1.Locality) string {
	if l.GetRegion() == "" || l.GetZone() == "" {
		return l.GetRegion() + l.GetZone()
	}
	return l.GetRegion() + "/" + l.GetZone()
}
