// Package record says how the registry's entries lie in its store: which keys
// there are, and what their values hold. It is the only place that knows; all
// else speaks of instances, services and leases.
package record

import (
	"strings"
)

// Keys, by what follows the prefix:
//
//	/i/<namespace>/<service>/<instance_id>   instance
//	/l/<lease_id>                            lease
//	/v/<namespace>/<service>                 service state
//	/e                                       epoch
const (
	instancePrefix = "/i/"
	// LeasePrefix begins the keys of leases.
	LeasePrefix   = "/l/"
	servicePrefix = "/v/"
	// EpochKey holds the epoch of the history.
	EpochKey = "/e"
)

// Kind is what a key holds.
type Kind uint8

// The kinds of keys.
const (
	KindUnknown Kind = iota
	KindInstance
	KindLease
	KindService
	KindEpoch
)

// KindOf tells what a key holds.
func KindOf(key string) Kind {
	switch {
	case strings.HasPrefix(key, instancePrefix):
		return KindInstance
	case strings.HasPrefix(key, LeasePrefix):
		return KindLease
	case strings.HasPrefix(key, servicePrefix):
		return KindService
	case key == EpochKey:
		return KindEpoch
	}
	return KindUnknown
}

// ServiceName is a service's full name.
type ServiceName struct {
	Namespace, Service string
}

// String is the name as people write it: namespace/service.
func (n ServiceName) String() string { return n.Namespace + "/" + n.Service }

// Key is where the service's state lies.
func (n ServiceName) Key() string { return servicePrefix + n.Namespace + "/" + n.Service }

// Compare orders names by namespace, then service, as bytes.
func (n ServiceName) Compare(o ServiceName) int {
	if c := strings.Compare(n.Namespace, o.Namespace); c != 0 {
		return c
	}
	return strings.Compare(n.Service, o.Service)
}

// InstanceName names one instance.
type InstanceName struct {
	ServiceName
	ID string
}

// String is the name as people write it: namespace/service/instance_id.
func (n InstanceName) String() string { return n.Namespace + "/" + n.Service + "/" + n.ID }

// Key is where the instance lies.
func (n InstanceName) Key() string { return instancePrefix + n.String() }

// LeaseKey is where a lease lies.
func LeaseKey(leaseID string) string { return LeasePrefix + leaseID }

// LeaseID takes a lease's key apart.
func LeaseID(key string) string { return strings.TrimPrefix(key, LeasePrefix) }

// ParseService takes a service state's key apart.
func ParseService(key string) (ServiceName, bool) {
	rest, ok := strings.CutPrefix(key, servicePrefix)
	if !ok {
		return ServiceName{}, false
	}
	ns, svc, ok := strings.Cut(rest, "/")
	return ServiceName{ns, svc}, ok
}

// ParseInstance takes an instance's key apart.
func ParseInstance(key string) (InstanceName, bool) {
	rest, ok := strings.CutPrefix(key, instancePrefix)
	if !ok {
		return InstanceName{}, false
	}
	ns, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return InstanceName{}, false
	}
	svc, id, ok := strings.Cut(rest, "/")
	return InstanceName{ServiceName{ns, svc}, id}, ok
}
