package mustergrpc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// EndpointCredentials dial each endpoint as it says itself: in plaintext, or by
// TLS with config, whose ServerName is replaced by the endpoint's, or by
// "service.namespace". nil means the system's roots and no certificate.
//
// A registry that can be written by others can make clients speak plaintext;
// to insist on TLS, pass credentials.NewTLS instead.
func EndpointCredentials(config *tls.Config) credentials.TransportCredentials {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &endpointCredentials{config: config.Clone(), plaintext: insecure.NewCredentials()}
}

// dialledKey is the attribute of an address that holds the key of its slot.
type dialledKey struct{}

var (
	securityTLS       = muster.SecurityTLS.String()
	securityMutualTLS = muster.SecurityMutualTLS.String()
)

type endpointCredentials struct {
	config    *tls.Config
	plaintext credentials.TransportCredentials
}

// ClientHandshake implements credentials.TransportCredentials.
func (c *endpointCredentials) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	slot, _ := credentials.ClientHandshakeInfoFromContext(ctx).Attributes.Value(dialledKey{}).(rules.SlotKey)
	if slot.Security != securityTLS && slot.Security != securityMutualTLS {
		return c.plaintext.ClientHandshake(ctx, authority, raw)
	}
	if slot.Security == securityMutualTLS && len(c.config.Certificates) == 0 && c.config.GetClientCertificate == nil {
		return nil, nil, errors.New(textNoTLS(slot.Address))
	}
	return credentials.NewTLS(c.config).ClientHandshake(ctx, slot.ServerName, raw)
}

// ServerHandshake implements credentials.TransportCredentials; it is not used.
func (c *endpointCredentials) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("endpoint credentials are for clients")
}

// Info implements credentials.TransportCredentials.
func (c *endpointCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "muster-endpoint"}
}

// Clone implements credentials.TransportCredentials.
func (c *endpointCredentials) Clone() credentials.TransportCredentials {
	return &endpointCredentials{config: c.config.Clone(), plaintext: c.plaintext.Clone()}
}

// OverrideServerName implements credentials.TransportCredentials. Endpoints
// name themselves.
func (c *endpointCredentials) OverrideServerName(string) error { return nil }
