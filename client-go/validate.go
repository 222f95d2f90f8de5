package muster

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// The rules of the contract for what clients send, checked before anything is
// sent, so that a mistake is told without a registry and alike in both
// clients. Pure.
const (
	maxNameBytes     = 63
	maxIDBytes       = 128
	maxEndpoints     = 16
	maxMetadataKeys  = 64
	maxMetadataBytes = 16 << 10
	maxCapabilities  = 64
	maxWeight        = 1_000_000
	maxReasonBytes   = 256
	maxShardIDs      = 1024

	namespaceRule = "1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or a digit"
	serviceRule   = "1 to 63 of a-z, 0-9, '-', '.' and '_', beginning and ending with a letter or a digit"
	idRule        = "1 to 128 of a-z, A-Z, 0-9, '-', '.', '_' and ':', beginning and ending with a letter or a digit"
	keyRule       = "1 to 63 of a-z, A-Z, 0-9, '-', '.', '_' and '/'"
	versionRule   = "a semantic version without \"v\", such as 1.4.2"
	rangeRule     = "comparators joined by spaces, such as >=1.2.0 <2.0.0"
	addressRule   = "host:port, with a DNS name, an IPv4 address or an IPv6 address in brackets, and a port from 1 to 65535"
)

// validateService checks the names of a service.
func validateService(name ServiceName) *Error {
	object := name.String()
	return firstError(validateNamespace(object, name.Namespace), validateServiceName(object, name.Service))
}

func validateNamespace(object, value string) *Error {
	return require(isWord(value, maxNameBytes, isLower, "-"), object, "namespace", value, namespaceRule)
}

func validateServiceName(object, value string) *Error {
	return require(isWord(value, maxNameBytes, isLower, "-._"), object, "service", value, serviceRule)
}

// validate finds what no server could accept.
func (s InstanceSpec) validate() *Error {
	name := ServiceName{s.Namespace, s.Service}
	if err := validateService(name); err != nil {
		return err
	}
	object := name.String()
	if err := firstError(
		require(isWord(s.ID, maxIDBytes, isAlphanumeric, "-._:"), object, "instance_id", s.ID, idRule),
		require(s.Version == "" || isSemver(s.Version), object, "version", s.Version, versionRule),
		require(s.Weight == nil || *s.Weight <= maxWeight, object, "weight", s.weightText(), "at most 1000000"),
		require(s.Lifecycle != Draining, object, "lifecycle", s.Lifecycle.String(), "STARTING or SERVING; use drain to drain"),
	); err != nil {
		return err
	}
	for _, check := range []func(string) *Error{s.validateEndpoints, s.validateMetadata, s.validateCapabilities, s.validatePlace} {
		if err := check(object); err != nil {
			return err
		}
	}
	return require(len(s.HealthReason) <= maxReasonBytes, object, "health reason", s.HealthReason, "at most 256 bytes")
}

// validateKeys checks that there are instances, each once.
func validateKeys(keys []Key) *Error {
	if len(keys) == 0 {
		return newError(ReasonInvalidArgument, codes.InvalidArgument, "register", "", textNoSpecs())
	}
	for i, key := range keys {
		if slices.Contains(keys[:i], key) {
			return newError(ReasonInvalidArgument, codes.InvalidArgument, "register", key.String(), textTwice(key))
		}
	}
	return nil
}

func (s InstanceSpec) weightText() string {
	if s.Weight == nil {
		return ""
	}
	return strconv.FormatUint(uint64(*s.Weight), 10)
}

func (s InstanceSpec) validateEndpoints(object string) *Error {
	if err := require(len(s.Endpoints) <= maxEndpoints, object, "endpoints", strconv.Itoa(len(s.Endpoints)), "at most 16"); err != nil {
		return err
	}
	for i, e := range s.Endpoints {
		twice := slices.ContainsFunc(s.Endpoints[:i], func(o EndpointSpec) bool { return o.Name == e.Name })
		if err := firstError(
			require(e.Name != "" && len(e.Name) <= maxNameBytes && consistsOf(e.Name, isLower, "-"), object, "endpoint name", e.Name, "1 to 63 of a-z, 0-9 and '-'"),
			require(!twice, object, "endpoint name", e.Name, "each once"),
			validateAddress(object, e),
		); err != nil {
			return err
		}
	}
	return nil
}

func (s InstanceSpec) validateMetadata(object string) *Error {
	bytes := 0
	for _, key := range slices.Sorted(maps.Keys(s.Metadata)) {
		if err := require(isKey(key), object, "metadata key", key, keyRule); err != nil {
			return err
		}
		bytes += len(key) + len(s.Metadata[key])
	}
	return require(len(s.Metadata) <= maxMetadataKeys && bytes <= maxMetadataBytes, object, "metadata",
		fmt.Sprintf("%d keys, %d bytes", len(s.Metadata), bytes), "at most 64 keys and 16384 bytes together")
}

func (s InstanceSpec) validateCapabilities(object string) *Error {
	if err := require(len(s.Capabilities) <= maxCapabilities, object, "capabilities", strconv.Itoa(len(s.Capabilities)), "at most 64"); err != nil {
		return err
	}
	for i, name := range s.Capabilities {
		if err := firstError(
			require(isKey(name), object, "capability", name, keyRule),
			require(!slices.Contains(s.Capabilities[:i], name), object, "capability", name, "each once"),
		); err != nil {
			return err
		}
	}
	return nil
}

// validatePlace checks where an instance runs, and what part of the service
// it serves.
func (s InstanceSpec) validatePlace(object string) *Error {
	if err := firstError(
		require(len(s.Locality.Region) <= maxNameBytes, object, "region", s.Locality.Region, "at most 63 bytes"),
		require(len(s.Locality.Zone) <= maxNameBytes, object, "zone", s.Locality.Zone, "at most 63 bytes"),
	); err != nil || s.Shard == nil {
		return err
	}
	ascending := len(s.Shard.IDs) <= maxShardIDs
	for i := 1; i < len(s.Shard.IDs); i++ {
		ascending = ascending && s.Shard.IDs[i-1] < s.Shard.IDs[i]
	}
	return require(ascending, object, "shard ids", listed(s.Shard.IDs), "ascending, at most 1024")
}

func listed(ids []uint32) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatUint(uint64(id), 10)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// validateAddress refuses what is no address, and what nobody else could dial.
func validateAddress(object string, e EndpointSpec) *Error {
	switch rules.KindOfAddress(e.Address) {
	case rules.AddressDialable:
		return nil
	case rules.AddressUnspecified:
		return invalidEndpoint(object, textUnspecifiedAddress(e.Name, object, e.Address))
	default:
		return invalidEndpoint(object, textField(fmt.Sprintf("endpoint %q of %s", e.Name, object), "address", e.Address, addressRule))
	}
}

func invalidEndpoint(object, text string) *Error {
	return newError(ReasonInvalidEndpoint, codes.InvalidArgument, "register", object, text)
}

func isSemver(text string) bool {
	_, err := rules.ParseVersion(text)
	return err == nil
}

// isWord tells whether a value is of the allowed characters and begins and
// ends with a letter or a digit.
func isWord(value string, most int, allowed func(byte) bool, others string) bool {
	return value != "" && len(value) <= most && consistsOf(value, allowed, others) &&
		isAlphanumeric(value[0]) && isAlphanumeric(value[len(value)-1])
}

func isKey(value string) bool {
	return value != "" && len(value) <= maxNameBytes && consistsOf(value, isAlphanumeric, "-._/")
}

func consistsOf(value string, allowed func(byte) bool, others string) bool {
	for i := range len(value) {
		if !allowed(value[i]) && strings.IndexByte(others, value[i]) < 0 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool        { return c >= '0' && c <= '9' }
func isLower(c byte) bool        { return c >= 'a' && c <= 'z' || isDigit(c) }
func isAlphanumeric(c byte) bool { return isLower(c) || c >= 'A' && c <= 'Z' }

func require(ok bool, object, field, value, allowed string) *Error {
	if ok {
		return nil
	}
	return newError(ReasonInvalidArgument, codes.InvalidArgument, "register", object, textField(object, field, value, allowed))
}

func firstError(errs ...*Error) *Error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
