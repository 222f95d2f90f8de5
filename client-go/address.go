package muster

import (
	"net"
	"net/netip"
	"os"
	"strconv"

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
