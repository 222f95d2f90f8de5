package muster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWrongInputIsNamed holds texts that are equal in Rust, apart from the names
// of options.
func TestWrongInputIsNamed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	made := func(servers []string, options ...Option) error {
		c, err := New(servers, options...)
		if err == nil {
			closeClient(t, c)
		}
		return err
	}
	with := func(options ...Option) error { return made([]string{"a:1"}, options...) }
	tls := func(config TLSConfig) error { return with(WithTLS(config)) }
	long := strings.Repeat("x", 64)
	for want, got := range map[string]error{
		`no registry servers given; pass at least one address, such as 127.0.0.1:7070`:                                                                  made(nil),
		`registry server "http://a:1" is no host:port, such as 127.0.0.1:7070`:                                                                          made([]string{"http://a:1"}),
		`registry server "a:0" is no host:port, such as 127.0.0.1:7070`:                                                                                 made([]string{"a:1", "a:0"}),
		`option Name: "a\x0ab" is not allowed; use at most 128 printable ASCII characters`:                                                              with(WithName("a\nb")),
		`option Region: "` + long + `" is not allowed; use at most 63 bytes`:                                                                            with(WithLocality(long, "")),
		`option Zone: "` + long + `" is not allowed; use at most 63 bytes`:                                                                              with(WithLocality("", long)),
		`option TTL: 10ms is not allowed; use 1s to 1h in whole milliseconds`:                                                                           with(WithTTL(10 * time.Millisecond)),
		`option TTL: 7200s is not allowed; use 1s to 1h in whole milliseconds`:                                                                          with(WithTTL(2 * time.Hour)),
		`option Freshness: 5s, 1s is not allowed; both must be positive, and the second longer`:                                                         with(WithFreshness(5*time.Second, time.Second)),
		`option GracePeriod: 2.5s is not allowed; use 3s to 24h in whole milliseconds`:                                                                  with(WithGracePeriod(2500 * time.Millisecond)),
		`option GracePeriod: 90000s is not allowed; use 3s to 24h in whole milliseconds`:                                                                with(WithGracePeriod(25 * time.Hour)),
		`option CacheDir: "views" is not allowed; use an absolute path, or leave the option out for no cache`:                                           with(WithCacheDir("views")),
		`option CacheDir: "` + file + `/x" is not allowed; it cannot be written to (not a directory); name a directory that this process may write`:     with(WithCacheDir(file + "/x")),
		`option Token: a token without TLS is not allowed; it is never sent in plaintext; set TLS, too`:                                                 with(WithToken(FixedToken("secret"))),
		`option TLS.CAFile: file ` + dir + `/none.pem cannot be used: no such file or directory`:                                                        tls(TLSConfig{CAFile: dir + "/none.pem"}),
		`option TLS.CAFile: file ` + file + ` cannot be used: it holds no certificate in PEM form`:                                                      tls(TLSConfig{CAFile: file}),
		`option TLS.ServerName: "a b" is not allowed; use a DNS name or an IP address`:                                                                  tls(TLSConfig{ServerName: "a b"}),
		`shop/pay: instance_id "pay@1" is not allowed: 1 to 128 of a-z, A-Z, 0-9, '-', '.', '_' and ':', beginning and ending with a letter or a digit`: with(WithOverride(InstanceSpec{Namespace: "shop", Service: "pay", ID: "pay@1"})),
	} {
		checkText(t, got, want, ReasonInvalidArgument)
	}
}

func TestWrongInstancesAreNamed(t *testing.T) {
	c, err := New([]string{"a:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer closeClient(t, c)
	edit := func(change func(*InstanceSpec)) error {
		s := InstanceSpec{Namespace: "shop", Service: "pay", ID: "a", Endpoints: []EndpointSpec{{Address: "10.0.0.1:80"}}}
		change(&s)
		_, err := c.Register(t.Context(), s)
		return err
	}
	twice := InstanceSpec{Namespace: "shop", Service: "pay", ID: "a"}
	_, none := c.Register(t.Context())
	_, same := c.Register(t.Context(), twice, twice)
	weight := uint32(2_000_000)
	for want, got := range map[string]error{
		`registration: no instances; pass at least one InstanceSpec`:                                                             none,
		`registration: instance shop/pay/a occurs twice; give each its own id`:                                                   same,
		`Shop/pay: namespace "Shop" is not allowed: 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or a digit`:  edit(func(s *InstanceSpec) { s.Namespace = "Shop" }),
		`shop/: service "" is not allowed: 1 to 63 of a-z, 0-9, '-', '.' and '_', beginning and ending with a letter or a digit`: edit(func(s *InstanceSpec) { s.Service = "" }),
		`shop/pay: version "v1" is not allowed: a semantic version without "v", such as 1.4.2`:                                   edit(func(s *InstanceSpec) { s.Version = "v1" }),
		`shop/pay: weight "2000000" is not allowed: at most 1000000`:                                                             edit(func(s *InstanceSpec) { s.Weight = &weight }),
		`shop/pay: lifecycle "DRAINING" is not allowed: STARTING or SERVING; use drain to drain`:                                 edit(func(s *InstanceSpec) { s.Lifecycle = Draining }),
		`shop/pay: endpoint name "Web" is not allowed: 1 to 63 of a-z, 0-9 and '-'`:                                              edit(func(s *InstanceSpec) { s.Endpoints[0].Name = "Web" }),
		`shop/pay: metadata key "a b" is not allowed: 1 to 63 of a-z, A-Z, 0-9, '-', '.', '_' and '/'`:                           edit(func(s *InstanceSpec) { s.Metadata = map[string]string{"a b": ""} }),
		`shop/pay: metadata "1 keys, 16385 bytes" is not allowed: at most 64 keys and 16384 bytes together`:                      edit(func(s *InstanceSpec) { s.Metadata = map[string]string{"a": strings.Repeat("x", 16<<10)} }),
		`shop/pay: capability "a" is not allowed: each once`:                                                                     edit(func(s *InstanceSpec) { s.Capabilities = []string{"a", "a"} }),
		`shop/pay: shard ids "[2, 1]" is not allowed: ascending, at most 1024`:                                                   edit(func(s *InstanceSpec) { s.Shard = &Shard{IDs: []uint32{2, 1}} }),
	} {
		checkText(t, got, want, ReasonInvalidArgument)
	}
	bad := func(address string) error {
		return edit(func(s *InstanceSpec) { s.Endpoints[0].Address = address })
	}
	checkText(t, bad(":80"), `endpoint "grpc" of shop/pay: address :80 cannot be dialled by others; pass a reachable address or use AdvertiseFrom(listener)`, ReasonInvalidEndpoint)
	checkText(t, bad("a b:80"), `endpoint "grpc" of shop/pay: address "a b:80" is not allowed: host:port, with a DNS name, an IPv4 address or an IPv6 address in brackets, and a port from 1 to 65535`, ReasonInvalidEndpoint)
}

func TestWrongSelectorsAreNamed(t *testing.T) {
	c, err := New([]string{"a:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer closeClient(t, c)
	latest := Service("shop", "pay")
	latest.Filter.VersionRange = "latest"
	for want, s := range map[string]Selector{
		`selector: no services; name at least one`: {},
		`selector: prefix "pa" needs a namespace`:  {Prefix: &ServicePrefix{Prefix: "pa"}},
		`selector Shop/pay: namespace "Shop" is not allowed: 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or a digit`: Service("Shop", "pay"),
		`selector shop/pay (filtered): version range "latest" is not allowed: comparators joined by spaces, such as >=1.2.0 <2.0.0`:      latest,
	} {
		_, err := c.Subscribe(s)
		checkText(t, err, want, ReasonInvalidArgument)
		_, err = c.Lookup(t.Context(), s)
		checkText(t, err, want, ReasonInvalidArgument)
	}
}

func checkText(t *testing.T, err error, want string, reason Reason) {
	t.Helper()
	want = "muster: " + want + " [" + string(reason) + "]"
	if err == nil || err.Error() != want {
		t.Errorf("text\n%v\nwant\n%s", err, want)
	}
}
