package actor

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// defaultTTL is that of a lease without option ttl.
	defaultTTL = 15 * time.Second
	// defaultAddress is that of an instance which nobody is to call.
	defaultAddress = "10.0.0.1:8080"
)

// Key reads namespace/service/id.
func Key(text string) (*musterv1.InstanceKey, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%q is no key of an instance: want namespace/service/id", text)
	}
	return &musterv1.InstanceKey{Namespace: parts[0], Service: parts[1], InstanceId: parts[2]}, nil
}

// maskOf are the fields of the update mask by option; "metadata.KEY" and
// "health" are special.
var maskOf = map[string]string{
	"address": "endpoints", "server-name": "endpoints", "authority": "endpoints", "protocol": "endpoints", "security": "endpoints",
	"weight": "weight", "version": "version", "zone": "locality", "region": "locality",
	"lifecycle": "lifecycle", "health": "self_health", "capability": "capabilities", "shard": "shard",
}

// paths are the mask for the options that are given.
func paths(options map[string]string) []string {
	var list []string
	for name := range options {
		path := maskOf[name]
		if strings.HasPrefix(name, "metadata.") {
			path = "metadata"
		}
		if path != "" && !slices.Contains(list, path) {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

// describe makes an instance of a key and options.
func describe(text string, options map[string]string) (*musterv1.Instance, time.Duration, error) {
	key, err := Key(text)
	if err != nil {
		return nil, 0, err
	}
	i := &musterv1.Instance{
		Namespace: key.GetNamespace(), Service: key.GetService(), InstanceId: key.GetInstanceId(),
		Metadata: map[string]string{}, Locality: &musterv1.Locality{}, Lifecycle: musterv1.Lifecycle_LIFECYCLE_SERVING,
	}
	e := &musterv1.Endpoint{
		Name: "grpc", Address: defaultAddress, Protocol: musterv1.Protocol_PROTOCOL_GRPC,
		Security: musterv1.TransportSecurity_TRANSPORT_SECURITY_PLAINTEXT,
	}
	i.Endpoints = []*musterv1.Endpoint{e}
	ttl := defaultTTL
	for name, value := range options {
		if err = option(i, e, &ttl, name, value); err != nil {
			return nil, 0, fmt.Errorf("%s: %s=%s: %w", text, name, value, err)
		}
	}
	return i, ttl, nil
}

func option(i *musterv1.Instance, e *musterv1.Endpoint, ttl *time.Duration, name, value string) (err error) {
	switch name {
	case "ttl":
		*ttl, err = time.ParseDuration(value)
	case "weight":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 32)
		weight := uint32(n)
		i.Weight = &weight
	case "address":
		e.Address = value
	case "server-name":
		e.ServerName = value
	case "authority":
		e.Authority = value
	case "version":
		i.Version = value
	case "zone":
		i.Locality.Zone = value
	case "region":
		i.Locality.Region = value
	case "capability":
		i.Capabilities = strings.Split(value, ",")
	case "protocol":
		e.Protocol, err = enum[musterv1.Protocol](musterv1.Protocol_value, "PROTOCOL_", value)
	case "security":
		e.Security, err = enum[musterv1.TransportSecurity](musterv1.TransportSecurity_value, "TRANSPORT_SECURITY_", value)
	case "lifecycle":
		i.Lifecycle, err = enum[musterv1.Lifecycle](musterv1.Lifecycle_value, "LIFECYCLE_", value)
	case "health":
		var h musterv1.Health
		h, err = enum[musterv1.Health](musterv1.Health_value, "HEALTH_", value)
		i.SelfHealth = &musterv1.SelfHealth{Health: h, Reason: "told by the scenario"}
	default:
		key, is := strings.CutPrefix(name, "metadata.")
		if !is {
			return errors.New("unknown option")
		}
		i.Metadata[key] = value
	}
	return err
}

func enum[E ~int32](values map[string]int32, prefix, value string) (E, error) {
	n, known := values[prefix+value]
	if !known {
		return 0, errors.New("unknown value")
	}
	return E(n), nil
}

// presentHolders are the incarnations that INSTANCE_EXISTS names; none for any
// other error.
func presentHolders(err error) []uint64 {
	var list []uint64
	for _, d := range status.Convert(err).Details() {
		info, is := d.(*errdetails.ErrorInfo)
		if !is || info.GetReason() != "INSTANCE_EXISTS" {
			continue
		}
		for _, text := range strings.Split(info.GetMetadata()["incarnations"], ",") {
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
}
