package muster

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// PEM is its certificate.
	PEM []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// sign returns a certificate and its key for names.
func (a *authority) sign(t *testing.T, names ...string) (certificate, key []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	private := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// server is TLS of servers that answer to names.
func (a *authority) server(t *testing.T, names ...string) *tls.Config {
	t.Helper()
	certificate, key := a.sign(t, names...)
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair},
		ClientCAs: clients, ClientAuth: tls.VerifyClientCertIfGiven,
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withTLS restarts the fake's server with a certificate for names, and returns
// what a client trusts it by.
func withTLS(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server, names ...string) (*authority, TLSConfig) {
	t.Helper()
	ca := newAuthority(t)
	a.Stop()
	r.TLS = ca.server(t, names...)
	a.Start()
	return ca, TLSConfig{CAFile: write(t, filepath.Join(t.TempDir(), "ca.pem"), ca.PEM)}
}

func newTLSClient(t *testing.T, r *fakeregistry.Registry, config TLSConfig, options ...Option) *Client {
	t.Helper()
	c, err := New([]string{"a:1"}, append(options, WithDial(r.Dial), WithTLS(config))...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

func TestTLSByFiles(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		_, config := withTLS(t, r, a, "a")
		c := newTLSClient(t, r, config)
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStory14TLSMismatch(t *testing.T) {
	for _, c := range []struct {
		name  string
		names []string
		edit  func(*TLSConfig)
		want  string
	}{
		{"wrong name", []string{"muster.internal", "*.muster"}, func(*TLSConfig) {}, "a:1 (server a:1 has a certificate for muster.internal, *.muster, a was wanted)"},
		{"wrong name, chosen", []string{"a"}, func(c *TLSConfig) { c.ServerName = "registry.shop" }, "has a certificate for a, registry.shop was wanted"},
		{"right name, chosen", []string{"registry.shop"}, func(c *TLSConfig) { c.ServerName = "registry.shop" }, ""},
		{"unknown authority", []string{"a"}, func(c *TLSConfig) { c.CAFile = "" }, "a:1 (server a:1 has a certificate of an authority that is not trusted; see the CA file)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
				_, config := withTLS(t, r, a, c.names...)
				c.edit(&config)
				err := newTLSClient(t, r, config).Ready(timeout(t, time.Second))
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("error %v\nwant %s", err, c.want)
				}
			})
		})
	}
}

func TestRenewedTLSFilesAreUsedAndBrokenOnesAreNot(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		_, config := withTLS(t, r, a, "a")
		var log bytes.Buffer
		c := newTLSClient(t, r, config, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := func(what string, ok bool) {
			t.Helper()
			a.Stop()
			synctest.Wait()
			a.Start()
			if err := c.Ready(timeout(t, time.Second)); (err == nil) != ok {
				t.Errorf("%s: %v", what, err)
			}
		}
		write(t, config.CAFile, []byte("not a certificate"))
		again("a broken file leaves the old authorities", true)
		if want := "option TLS.CAFile: file " + config.CAFile + " cannot be used: it holds no certificate in PEM form; the certificates from before stay in use"; !strings.Contains(log.String(), want) {
			t.Errorf("log %s\nwant %s", log.String(), want)
		}
		other := newAuthority(t)
		r.TLS = other.server(t, "a")
		again("another authority is not trusted", false)
		write(t, config.CAFile, other.PEM)
		again("now it is", true)
	})
}

func TestMutualTLSByFiles(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		ca, config := withTLS(t, r, a, "a")
		r.TLS.ClientAuth = tls.RequireAndVerifyClientCert
		a.Stop()
		a.Start()
		if err := newTLSClient(t, r, config).Ready(timeout(t, time.Second)); err == nil {
			t.Error("a client without a certificate got in")
		}
		certificate, key := ca.sign(t, "client")
		config.CertFile = write(t, filepath.Join(t.TempDir(), "cert.pem"), certificate)
		config.KeyFile = write(t, filepath.Join(t.TempDir(), "key.pem"), key)
		if err := newTLSClient(t, r, config).Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestWrongTLSIsAnErrorAtConstruction(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t)
	certificate, key := ca.sign(t, "client")
	_, otherKey := ca.sign(t, "client")
	caFile, certFile := write(t, filepath.Join(dir, "ca.pem"), ca.PEM), write(t, filepath.Join(dir, "cert.pem"), certificate)
	keyFile, otherFile := write(t, filepath.Join(dir, "key.pem"), key), write(t, filepath.Join(dir, "other.pem"), otherKey)
	missing := filepath.Join(dir, "missing.pem")
	for _, c := range []struct {
		name   string
		config TLSConfig
		want   string
	}{
		{"missing", TLSConfig{CAFile: missing}, "option TLS.CAFile: file " + missing + " cannot be used: no such file or directory"},
		{"no authority", TLSConfig{CAFile: keyFile}, "option TLS.CAFile: file " + keyFile + " cannot be used: it holds no certificate in PEM form"},
		{"no certificate", TLSConfig{CertFile: keyFile, KeyFile: keyFile}, "option TLS.CertFile: file " + keyFile + " cannot be used: it holds no certificate in PEM form"},
		{"another's key", TLSConfig{CertFile: certFile, KeyFile: otherFile}, "option TLS.KeyFile: file " + otherFile + " cannot be used: it holds no key that belongs to the certificate"},
		{"no key", TLSConfig{CertFile: certFile}, "option TLS: a certificate without its key, or a key alone, is not allowed"},
		{"custom and files", TLSConfig{CAFile: caFile, Custom: &tls.Config{MinVersion: tls.VersionTLS13}}, "option TLS: Custom together with files is not allowed; use one of them"},
		{"all right", TLSConfig{CAFile: caFile, CertFile: certFile, KeyFile: keyFile}, ""},
	} {
		_, err := New([]string{"a:1"}, WithTLS(c.config))
		if c.want == "" && err != nil || c.want != "" && (ReasonOf(err) != ReasonInvalidArgument || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}
