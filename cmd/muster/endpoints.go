package main

import (
	"strings"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// schemes are how endpoints are written on the command line.
var schemes = []struct {
	name     string
	protocol musterv1.Protocol
	security musterv1.TransportSecurity
}{
	{"grpc", musterv1.Protocol_PROTOCOL_GRPC, musterv1.TransportSecurity_TRANSPORT_SECURITY_PLAINTEXT},
	{"grpcs", musterv1.Protocol_PROTOCOL_GRPC, musterv1.TransportSecurity_TRANSPORT_SECURITY_TLS},
	{"grpc+mtls", musterv1.Protocol_PROTOCOL_GRPC, musterv1.TransportSecurity_TRANSPORT_SECURITY_MUTUAL_TLS},
	{"http", musterv1.Protocol_PROTOCOL_HTTP, musterv1.TransportSecurity_TRANSPORT_SECURITY_PLAINTEXT},
	{"https", musterv1.Protocol_PROTOCOL_HTTP, musterv1.TransportSecurity_TRANSPORT_SECURITY_TLS},
	{"https+mtls", musterv1.Protocol_PROTOCOL_HTTP, musterv1.TransportSecurity_TRANSPORT_SECURITY_MUTUAL_TLS},
	{"tcp", musterv1.Protocol_PROTOCOL_TCP, musterv1.TransportSecurity_TRANSPORT_SECURITY_PLAINTEXT},
	{"tls", musterv1.Protocol_PROTOCOL_TCP, musterv1.TransportSecurity_TRANSPORT_SECURITY_TLS},
	{"mtls", musterv1.Protocol_PROTOCOL_TCP, musterv1.TransportSecurity_TRANSPORT_SECURITY_MUTUAL_TLS},
	{"udp", musterv1.Protocol_PROTOCOL_UDP, musterv1.TransportSecurity_TRANSPORT_SECURITY_PLAINTEXT},
	{"dtls", musterv1.Protocol_PROTOCOL_UDP, musterv1.TransportSecurity_TRANSPORT_SECURITY_TLS},
}

// parseEndpoint reads "[name=][scheme://]host:port".
func parseEndpoint(text string) (*musterv1.Endpoint, error) {
	name, rest, named := strings.Cut(text, "=")
	if !named {
		name, rest = defaultEndpoint, text
	}
	scheme, address, found := strings.Cut(rest, "://")
	if !found {
		scheme, address = schemes[0].name, rest
	}
	if name == "" || address == "" {
		return nil, usage("--endpoint: %q is not [name=][scheme://]host:port, such as grpc=10.0.0.7:8080", text)
	}
	known := make([]string, len(schemes))
	for i, s := range schemes {
		if s.name == scheme {
			return &musterv1.Endpoint{Name: name, Address: address, Protocol: s.protocol, Security: s.security}, nil
		}
		known[i] = s.name
	}
	return nil, usage("--endpoint: %q has the scheme %q; known are %s", text, scheme, strings.Join(known, ", "))
}

// schemePrefix is how an endpoint's protocol is written: nothing for gRPC in
// plaintext.
func schemePrefix(e *musterv1.Endpoint) string {
	for i, s := range schemes {
		if i > 0 && s.protocol == e.GetProtocol() && s.security == e.GetSecurity() {
			return s.name + "://"
		}
	}
	return ""
}
