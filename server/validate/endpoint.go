package validate

import (
	"net/netip"
	"strconv"
	"strings"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	maxHostBytes      = 253 // of a DNS name, a trailing dot left out
	maxLabelBytes     = 63
	maxAuthorityBytes = 255
)

func checkEndpoints(r *report, at *path, endpoints []*musterv1.Endpoint) {
	if len(endpoints) > MaxEndpoints {
		r.refuse(at, "endpoints", strconv.Itoa(len(endpoints)), "is their number, which must be at most 16")
		return
	}
	for i, e := range endpoints {
		in := element(at, "endpoints", i)
		checkEndpoint(r, &in, e)
		for _, earlier := range endpoints[:i] {
			if e.GetName() == earlier.GetName() {
				r.refuse(&in, "name", e.GetName(), "is the name of an earlier endpoint too; names must be distinct")
				break
			}
		}
	}
}

func checkEndpoint(r *report, at *path, e *musterv1.Endpoint) {
	r.checkSyntax(at, "name", e.GetName(), &endpointNameSyntax)
	if problem := addressProblem(e.GetAddress()); problem != "" {
		f := field(at, "address")
		r.add(Violation{
			Field: f.String(), Value: e.GetAddress(), Problem: problem,
			Reason: musterv1.ErrorReason_ERROR_REASON_INVALID_ENDPOINT,
		})
	}
	if p := e.GetProtocol(); p < musterv1.Protocol_PROTOCOL_UNSPECIFIED || p > musterv1.Protocol_PROTOCOL_UDP {
		r.refuse(at, "protocol", p.String(), "must be GRPC, HTTP, TCP or UDP")
	}
	s := e.GetSecurity()
	if s < musterv1.TransportSecurity_TRANSPORT_SECURITY_UNSPECIFIED || s > musterv1.TransportSecurity_TRANSPORT_SECURITY_MUTUAL_TLS {
		r.refuse(at, "security", s.String(), "must be PLAINTEXT, TLS or MUTUAL_TLS")
	}
	if name := e.GetServerName(); name != "" && !isDNSName(name) && !isAddress(name) {
		r.refuse(at, "server_name", name, "must be a DNS name or an IP address as a certificate holds it, without port; or empty")
	}
	if authority := e.GetAuthority(); !isAuthority(authority) {
		r.refuse(at, "authority", authority, "must be at most 255 visible ASCII characters without space, '/', '?', '#' and '@'; or empty")
	}
}

// addressProblem says why others cannot dial an address; empty if they can.
func addressProblem(address string) string {
	host, port, problem := splitAddress(address)
	if problem != "" {
		return problem
	}
	if !isPort(port) {
		return "has no port that can be dialled: it must be 1 to 65535, without leading zeros"
	}
	switch {
	case strings.HasPrefix(address, "["):
		ip, err := netip.ParseAddr(host)
		if err != nil || !ip.Is6() {
			return "must hold an IPv6 address between its brackets"
		}
		return ipProblem(ip)
	case host == "":
		return "has no host, and so cannot be dialled by others; pass a reachable address"
	case isDNSName(host):
		return ""
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ipProblem(ip)
	}
	return "must be host:port, with a DNS name, an IPv4 address or an IPv6 address in brackets as host"
}

func splitAddress(address string) (host, port, problem string) {
	if inside, ok := strings.CutPrefix(address, "["); ok {
		host, port, ok = strings.Cut(inside, "]:")
		if !ok {
			return "", "", "must be host:port; after an IPv6 address in brackets a port must follow"
		}
		return host, port, ""
	}
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return "", "", "has no port; it must be host:port"
	}
	host, port = address[:colon], address[colon+1:]
	if strings.Contains(host, ":") {
		return "", "", "must be host:port; write an IPv6 address in brackets, such as [2001:db8::1]:8080"
	}
	return host, port, ""
}

func isPort(port string) bool {
	if port == "" || len(port) > 5 || port[0] == '0' {
		return false
	}
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return false
		}
	}
	n, err := strconv.Atoi(port)
	return err == nil && n <= 65535
}

func ipProblem(ip netip.Addr) string {
	switch {
	case ip.Zone() != "":
		return "has a zone, which means something on one machine only; pass an address without '%'"
	case ip.Unmap().IsUnspecified():
		return "cannot be dialled by others, since it is the unspecified address; pass a reachable address"
	}
	return ""
}

// isDNSName accepts ASCII names of letters, digits, '-' and '_', with or
// without a final dot. A name that ends in digits only is a mistyped IPv4
// address, not a name.
func isDNSName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > maxHostBytes {
		return false
	}
	for rest, more := name, true; more; {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		if !isLabel(label) || !more && isDigits(label) {
			return false
		}
	}
	return true
}

func isLabel(label string) bool {
	if label == "" || len(label) > maxLabelBytes || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		if classes[label[i]]&(letters|dash) == 0 && label[i] != '_' {
			return false
		}
	}
	return true
}

func isDigits(label string) bool {
	for i := range len(label) {
		if label[i] < '0' || label[i] > '9' {
			return false
		}
	}
	return true
}

// isAddress tells whether text is a plain IP address.
func isAddress(text string) bool {
	ip, err := netip.ParseAddr(text)
	return err == nil && ip.Zone() == ""
}

func isAuthority(text string) bool {
	if len(text) > maxAuthorityBytes {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' || c == '/' || c == '?' || c == '#' || c == '@' {
			return false
		}
	}
	return true
}
