package muster

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
)

// podIPVariable names the environment variable that orchestrators set to the
// address of the process.
const podIPVariable = "POD_IP"

// AdvertiseFrom returns the address by which others reach a listener, for
// EndpointSpec.Address. A listener on a particular address is that address. One
// on all addresses (":8080", "0.0.0.0:0") is POD_IP if that is set, else the
// first address of an interface that is up and neither loopback nor link-local,
// IPv4 before IPv6. The port is the listener's. The error is INVALID_ENDPOINT.
func AdvertiseFrom(listener net.Listener) (string, error) {
	value := listener.Addr().String()
	at, err := netip.ParseAddrPort(value)
	if err != nil {
		return "", advertiseError(value)
	}
	if !at.Addr().IsUnspecified() {
		return at.String(), nil
	}
	port := strconv.Itoa(int(at.Port()))
	if ip, bad := netip.ParseAddr(os.Getenv(podIPVariable)); bad == nil && reachable(ip) {
		return net.JoinHostPort(ip.String(), port), nil
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return "", advertiseError(value)
	}
	ip, ok := chooseAddress(interfaces)
	if !ok {
		return "", advertiseError(value)
	}
	return net.JoinHostPort(ip.String(), port), nil
}

// chooseAddress takes the first reachable IPv4 address, else the first
// reachable IPv6 address.
func chooseAddress(interfaces []net.Addr) (netip.Addr, bool) {
	var first netip.Addr
	for _, a := range interfaces {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !reachable(prefix.Addr()) {
			continue
		}
		if prefix.Addr().Is4() {
			return prefix.Addr(), true
		}
		if !first.IsValid() {
			first = prefix.Addr()
		}
	}
	return first, first.IsValid()
}

func reachable(ip netip.Addr) bool {
	return ip.IsValid() && !ip.IsUnspecified() && !ip.IsLoopback() && !ip.IsMulticast() && !ip.IsLinkLocalUnicast()
}

func advertiseError(listener string) *Error {
	return newError(ReasonInvalidEndpoint, codes.InvalidArgument, "advertise", listener, textNoAdvertised(listener))
}

// validateAddress refuses addresses that nobody else could dial.
func validateAddress(service ServiceName, e EndpointSpec) *Error {
	host, port, err := net.SplitHostPort(e.Address)
	number, portErr := strconv.ParseUint(port, 10, 16)
	ip, ipErr := netip.ParseAddr(host)
	switch {
	case err != nil, host == "", portErr != nil, number == 0, ipErr == nil && ip.IsUnspecified():
		return newError(ReasonInvalidEndpoint, codes.InvalidArgument, "register", service.String(),
			textUnspecifiedAddress(e.Name, service.String(), e.Address))
	default:
		return nil
	}
}

// validateService checks the names by the rules of the contract.
func validateService(name ServiceName) *Error {
	if !validName(name.Namespace, "-") {
		return newError(ReasonInvalidArgument, codes.InvalidArgument, "name", name.String(),
			textField(name.String(), "namespace", name.Namespace, "use 1 to 63 of a-z, 0-9 and '-'"))
	}
	if !validName(name.Service, "-._") {
		return newError(ReasonInvalidArgument, codes.InvalidArgument, "name", name.String(),
			textField(name.String(), "service", name.Service, "use 1 to 63 of a-z, 0-9, '-', '.' and '_'"))
	}
	return nil
}

func validName(name, inner string) bool {
	if len(name) == 0 || len(name) > 63 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		edge := i == 0 || i == len(name)-1
		if !letter && (edge || strings.IndexByte(inner, c) < 0) {
			return false
		}
	}
	return true
}
