package muster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"

	"google.golang.org/grpc/credentials"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// TLSConfig is TLS to the registry. The zero value trusts the system's
// authorities and shows no certificate. Files are PEM; they are read at once,
// and again at each connection, so that renewed ones are used without a
// restart. Files that cannot be used then are told to the logger, and the last
// good ones stay in use. TLS 1.2 or later is spoken.
type TLSConfig struct {
	// CAFile holds the authorities that servers' certificates must come from;
	// empty is those of the system.
	CAFile string
	// CertFile and KeyFile hold the client's certificate, with its chain, and
	// its key; both or none.
	CertFile, KeyFile string
	// ServerName that servers' certificates must carry; empty is the host that
	// each server is listed by.
	ServerName string
	// Custom replaces all of the above but ServerName; nil for the usual.
	Custom *tls.Config
}

// tlsFiles are the contents of the files of a TLSConfig.
type tlsFiles struct{ ca, cert, key []byte }

func (f tlsFiles) equal(o tlsFiles) bool {
	return bytes.Equal(f.ca, o.ca) && bytes.Equal(f.cert, o.cert) && bytes.Equal(f.key, o.key)
}

// tlsLoader gives each handshake what the files hold now. It is safe for
// concurrent use.
type tlsLoader struct {
	config TLSConfig
	logger *slog.Logger

	// mu guards what follows.
	mu    sync.Mutex
	files tlsFiles
	good  *tls.Config
}

// newTLSLoader reads the files for the first time.
func newTLSLoader(config TLSConfig, logger *slog.Logger) (*tlsLoader, *Error) {
	hasFiles := config.CAFile != "" || config.CertFile != "" || config.KeyFile != ""
	switch {
	case config.Custom != nil && hasFiles:
		return nil, optionError("TLS", "Custom together with files", "use one of them")
	case (config.CertFile == "") != (config.KeyFile == ""):
		return nil, optionError("TLS", "a certificate without its key, or a key alone,", "set CertFile and KeyFile, or neither")
	}
	if name := config.ServerName; name != "" && net.ParseIP(name) == nil && rules.KindOfAddress(name+":1") != rules.AddressDialable {
		return nil, optionError("TLS.ServerName", rules.Quote(name), "use a DNS name or an IP address")
	}
	l := &tlsLoader{config: config, logger: logger}
	if err := l.load(); err != nil {
		return nil, err
	}
	return l, nil
}

// current is what the next handshake uses.
func (l *tlsLoader) current() *tls.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.load(); err != nil {
		l.logger.Warn(textKeepsTLS(err.Message))
	}
	return l.good
}

// load reads the files, and makes them what is good if they changed and can be
// used. The caller holds mu, or is alone.
func (l *tlsLoader) load() *Error {
	if l.config.Custom != nil {
		l.good = l.config.Custom
		return nil
	}
	var files tlsFiles
	for _, f := range []struct {
		name, path string
		to         *[]byte
	}{
		{"TLS.CAFile", l.config.CAFile, &files.ca},
		{"TLS.CertFile", l.config.CertFile, &files.cert},
		{"TLS.KeyFile", l.config.KeyFile, &files.key},
	} {
		if f.path == "" {
			continue
		}
		content, err := os.ReadFile(f.path)
		if err != nil {
			return fileError(f.name, f.path, fileCause(err).Error())
		}
		*f.to = content
	}
	if l.good != nil && files.equal(l.files) {
		return nil
	}
	good, err := l.parse(files)
	if err == nil {
		l.good, l.files = good, files
	}
	return err
}

func (l *tlsLoader) parse(files tlsFiles) (*tls.Config, *Error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if l.config.CAFile != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(files.ca) {
			return nil, fileError("TLS.CAFile", l.config.CAFile, "it holds no certificate in PEM form")
		}
	}
	if l.config.CertFile != "" {
		if !bytes.Contains(files.cert, []byte("-----BEGIN CERTIFICATE-----")) {
			return nil, fileError("TLS.CertFile", l.config.CertFile, "it holds no certificate in PEM form")
		}
		pair, err := tls.X509KeyPair(files.cert, files.key)
		if err != nil {
			return nil, fileError("TLS.KeyFile", l.config.KeyFile, "it holds no key that belongs to the certificate")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// serverTLS is TLS to one server, which reads the files anew for each handshake
// and keeps why one failed.
type serverTLS struct {
	credentials.TransportCredentials
	loader *tlsLoader
	server *server
}

func newServerTLS(s *server, loader *tlsLoader) credentials.TransportCredentials {
	return &serverTLS{credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12}), loader, s}
}

// ClientHandshake implements credentials.TransportCredentials.
func (t *serverTLS) ClientHandshake(ctx context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config := t.loader.current().Clone()
	switch {
	case t.loader.config.ServerName != "":
		config.ServerName = t.loader.config.ServerName
	case config.ServerName == "":
		if host, _, err := net.SplitHostPort(t.server.address); err == nil {
			config.ServerName = host
		}
	}
	conn, info, err := credentials.NewTLS(config).ClientHandshake(ctx, config.ServerName, raw)
	if err != nil && ctx.Err() == nil {
		t.server.failedWith(handshakeCause(t.server.address, config.ServerName, err))
	}
	return conn, info, err
}

// Clone implements credentials.TransportCredentials.
func (t *serverTLS) Clone() credentials.TransportCredentials {
	return &serverTLS{t.TransportCredentials.Clone(), t.loader, t.server}
}

// handshakeCause is story 14: why TLS did not come about.
func handshakeCause(server, wanted string, err error) string {
	var plaintext tls.RecordHeaderError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &plaintext):
		return textPlaintext(server)
	case errors.As(err, &name):
		return textWrongName(server, wanted, certificateNames(name.Certificate))
	case errors.As(err, &authority):
		return textUnknownAuthority(server)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return textCertificateExpired(server)
	default:
		return err.Error()
	}
}

// certificateNames are the names that a certificate is for.
func certificateNames(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// fileError is for a file of an option that cannot be used.
func fileError(option, path, why string) *Error {
	return newError(ReasonInvalidArgument, optionCode, "new", option, textFile(option, path, why))
}
