package rules

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// InterfaceAddress is an IP address that an interface of this machine has.
type InterfaceAddress struct {
	Interface, Address string
}

const (
	advertiseVariable = "MUSTER_ADVERTISE"
	podIP             = "POD_IP"
)

// virtualInterfaces are what names of interfaces begin with that lead to
// containers and virtual machines on this machine, not to others.
var virtualInterfaces = []string{
	"br-", "cali", "cilium", "cni", "docker", "flannel", "kube-", "lxc", "lxdbr", "podman", "vboxnet", "veth", "virbr",
	"vmnet", "vxlan",
}

// Advertise is the host:port by which others reach a listener at an IP address
// and port: that address itself if it is not unspecified, else what the
// variable MUSTER_ADVERTISE says (an IP address, the name of an interface, or
// host:port), else POD_IP, else the best address of this machine. The error names
// what was wrong.
func Advertise(listener, advertise, pod string, interfaces []InterfaceAddress) (string, error) {
	ip, port, ok := parseIPPort(listener)
	switch {
	case !ok:
		return "", listenerError(listener, "that is no IP address and port")
	case port == "0":
		return "", listenerError(listener, "port 0 is not listened at yet")
	case !ip.IsUnspecified() && !canBeDialled(ip):
		return "", listenerError(listener, "that address cannot be dialled by others")
	case !ip.IsUnspecified():
		return joinPort(ip, port), nil
	case advertise != "":
		return advertiseWanted(advertise, port, interfaces)
	case pod != "":
		if ip, ok = parseIP(pod); !ok || !canBeDialled(ip) {
			return "", variableError(podIP, pod, "use an IP address that others can dial")
		}
		return joinPort(ip, port), nil
	}
	if ip, ok = bestAddress(interfaces); !ok {
		return "", listenerError(listener, "no address of this machine can be dialled by others; set MUSTER_ADVERTISE or POD_IP")
	}
	return joinPort(ip, port), nil
}

// advertiseWanted is what MUSTER_ADVERTISE says, which is not empty.
func advertiseWanted(wanted, port string, interfaces []InterfaceAddress) (string, error) {
	refused := variableError(advertiseVariable, wanted,
		"use an IP address, host:port, or an interface, with an address that others can dial")
	if ip, ok := parseIP(wanted); ok {
		if !canBeDialled(ip) {
			return "", refused
		}
		return joinPort(ip, port), nil
	}
	named := slices.DeleteFunc(slices.Clone(interfaces), func(a InterfaceAddress) bool { return a.Interface != wanted })
	if ip, ok := bestAddress(named); ok {
		return joinPort(ip, port), nil
	}
	if len(named) > 0 || KindOfAddress(wanted) != AddressDialable {
		return "", refused
	}
	ip, port, ok := parseIPPort(wanted)
	switch {
	case !ok:
		return wanted, nil
	case !canBeDialled(ip):
		return "", refused
	default:
		return joinPort(ip, port), nil
	}
}

// bestAddress is the first in the order: not loopback before loopback, not
// virtual before virtual, IPv4 before IPv6, by the name of the interface, as
// given.
func bestAddress(interfaces []InterfaceAddress) (netip.Addr, bool) {
	type candidate struct {
		ip   netip.Addr
		rank int
		name string
	}
	var all []candidate
	for _, a := range interfaces {
		if ip, ok := parseIP(a.Address); ok && canBeDialled(ip) {
			all = append(all, candidate{ip, rankOf(ip, a.Interface), a.Interface})
		}
	}
	if len(all) == 0 {
		return netip.Addr{}, false
	}
	best := slices.MinFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.name, b.name))
	})
	return best.ip, true
}

func rankOf(ip netip.Addr, name string) int {
	rank := 0
	if ip.IsLoopback() {
		rank += 4
	}
	if isVirtual(name) {
		rank += 2
	}
	if ip.Is6() {
		rank++
	}
	return rank
}

func isVirtual(name string) bool {
	return slices.ContainsFunc(virtualInterfaces, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

func canBeDialled(ip netip.Addr) bool {
	return !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLinkLocalUnicast()
}

// parseIPPort splits an address whose host is an IP address.
func parseIPPort(address string) (ip netip.Addr, port string, ok bool) {
	if KindOfAddress(address) == AddressMalformed {
		return ip, "", false
	}
	colon := strings.LastIndexByte(address, ':')
	ip, ok = parseIP(strings.Trim(address[:colon], "[]"))
	return ip, address[colon+1:], ok
}

// parseIP reads an IP address without zone; one of IPv4 that is written as one
// of IPv6 becomes one of IPv4.
func parseIP(text string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(text)
	return ip.Unmap(), err == nil && ip.Zone() == ""
}

func joinPort(ip netip.Addr, port string) string {
	if ip.Is6() {
		return "[" + ip.String() + "]:" + port
	}
	return ip.String() + ":" + port
}

func listenerError(listener, problem string) error {
	return fmt.Errorf("listener %s: %s; pass an address", Quote(listener), problem)
}
