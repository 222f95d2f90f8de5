package stage

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The files of MakeTLS, in the folder of the stage.
const (
	caCert     = "ca.pem"
	caKey      = "ca.key"
	serverCert = "server.pem"
	serverKey  = "server.key"
	clientCert = "client.pem"
	clientKey  = "client.key"
)

// certificateLife is longer than any scenario.
const certificateLife = 24 * time.Hour

// MakeTLS writes an authority, a certificate for registry.test, localhost and
// 127.0.0.1, and one for clients.
func MakeTLS(dir string) error {
	if err := writeAuthority(dir); err != nil {
		return err
	}
	return RenewTLS(dir)
}

// RenewTLS writes new certificates of the same authority.
func RenewTLS(dir string) error {
	server := &x509.Certificate{
		Subject: pkix.Name{CommonName: "registry"}, DNSNames: []string{"registry.test", "localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	client := &x509.Certificate{Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	return errors.Join(writeSigned(dir, server, serverCert, serverKey), writeSigned(dir, client, clientCert, clientKey))
}

// StrangersTLS writes a certificate of the same authority for another name and
// address: that of stranger.test.
func StrangersTLS(dir string) error {
	return writeSigned(dir, &x509.Certificate{
		Subject: pkix.Name{CommonName: "stranger"}, DNSNames: []string{"stranger.test"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, serverCert, serverKey)
}

func writeAuthority(dir string) error {
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: "conformance"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return write(dir, c, c, key, key, caCert, caKey)
}

func writeSigned(dir string, c *x509.Certificate, certName, keyName string) error {
	authority, authorityKey, err := readAuthority(dir)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return write(dir, c, authority, key, authorityKey, certName, keyName)
}

func readAuthority(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certText, err := os.ReadFile(filepath.Join(dir, caCert))
	if err != nil {
		return nil, nil, err
	}
	keyText, err := os.ReadFile(filepath.Join(dir, caKey))
	if err != nil {
		return nil, nil, err
	}
	certBlock, _ := pem.Decode(certText)
	keyBlock, _ := pem.Decode(keyText)
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	return cert, key, err
}

func write(dir string, c, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey, certName, keyName string) error {
	var err error
	if c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return err
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(certificateLife)
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		replace(filepath.Join(dir, keyName), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})),
		replace(filepath.Join(dir, certName), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

// replace writes a file at once, so that nobody reads half of it.
func replace(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
