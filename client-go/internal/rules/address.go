package rules

import (
	"net/netip"
	"strings"
)

// AddressKind is what the text of an address turned out to be.
type AddressKind string

// Kinds of addresses.
const (
	// AddressDialable can be dialled.
	AddressDialable AddressKind = "DIALABLE"
	// AddressUnspecified can be listened at, but not dialled by others: it has
	// no host, an unspecified one, or port 0.
	AddressUnspecified AddressKind = "UNSPECIFIED"
	// AddressMalformed is no address.
	AddressMalformed AddressKind = "MALFORMED"
)

// KindOfAddress judges "host:port": host a DNS name, an IPv4 address, or an
// IPv6 address in brackets without zone; port 0 to 65535 without leading zeros.
func KindOfAddress(address string) AddressKind {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return AddressMalformed
	}
	port, err := parseNumber(address[colon+1:])
	if err != nil || port > 65535 {
		return AddressMalformed
	}
	host := kindOfHost(address[:colon])
	if host == AddressDialable && port == 0 {
		return AddressUnspecified
	}
	return host
}

func kindOfHost(host string) AddressKind {
	if host == "" {
		return AddressUnspecified
	}
	inner, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		host, bracketed = strings.CutSuffix(inner, "]")
		if !bracketed || strings.Contains(host, "%") {
			return AddressMalformed
		}
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil && !bracketed && isDNSName(host):
		return AddressDialable
	case err != nil || ip.Is6() != bracketed:
		return AddressMalformed
	case ip.IsUnspecified():
		return AddressUnspecified
	default:
		return AddressDialable
	}
}

// isDNSName tells whether this is the name of a machine: labels of letters,
// digits, '-' and '_', and a last one that is not all digits, which would be an
// IPv4 address that is none.
func isDNSName(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if len(host) > 253 {
		return false
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || !consistsOf(label, isHostByte) {
			return false
		}
	}
	return !isNumeric(labels[len(labels)-1])
}

func isHostByte(c byte) bool { return isIdentifierByte(c) || c == '_' }

func consistsOf(text string, allowed func(byte) bool) bool {
	for i := range len(text) {
		if !allowed(text[i]) {
			return false
		}
	}
	return true
}
