package muster

import (
	"net"
	"net/netip"
	"os"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// AdvertiseFrom returns the address by which others reach a listener, for
// EndpointSpec.Address: that of the listener itself if it is on a particular
// address. If it is on all of them (":8080", "0.0.0.0:8080"), it is the
// environment variable MUSTER_ADVERTISE (an IP address, host:port or the name of
// an interface), or else POD_IP, or else the first address of the running
// interfaces by name, IPv4 first, those of bridges for containers (docker0) after
// all others, and loopback last. Set MUSTER_ADVERTISE on machines with several
// networks. The port is the listener's unless MUSTER_ADVERTISE has one; a
// link-local address is never taken. docs/client-spec.md section 22 has the rule. The error is
// INVALID_ENDPOINT and names what was wrong.
func AdvertiseFrom(listener net.Listener) (string, error) {
	at := listener.Addr().String()
	address, err := rules.Advertise(at, os.Getenv("MUSTER_ADVERTISE"), os.Getenv("POD_IP"), interfaceAddresses())
	if err != nil {
		return "", newError(ReasonInvalidEndpoint, codes.InvalidArgument, "advertise", at, err.Error())
	}
	return address, nil
}

// interfaceAddresses are the addresses of the interfaces that run. What cannot
// be listed is left out: the rule says so if nothing is left.
func interfaceAddresses() []rules.InterfaceAddress {
	interfaces, _ := net.Interfaces()
	var all []rules.InterfaceAddress
	for _, i := range interfaces {
		if i.Flags&net.FlagRunning == 0 {
			continue
		}
		addresses, _ := i.Addrs()
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				all = append(all, rules.InterfaceAddress{Interface: i.Name, Address: prefix.Addr().String()})
			}
		}
	}
	return all
}
