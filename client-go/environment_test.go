package muster

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestNewFromEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"MUSTER_SERVERS": "a:1@z1, b:1@z2", "MUSTER_NAME": "orders-3", "MUSTER_TTL": "30s", "MUSTER_REGION": "r1", "MUSTER_ZONE": "z2",
		"MUSTER_CACHE_DIR": t.TempDir(), "MUSTER_OVERRIDE": "shop/pay=localhost:9000", "MUSTER_SERVER": "misspelt",
	} {
		t.Setenv(name, value)
	}
	var log bytes.Buffer
	c, err := NewFromEnvironment(WithName("explicit"), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	defer closeClient(t, c)
	if c.config.Name != "explicit" || c.config.TTL != 30*time.Second || c.Locality() != (Locality{"r1", "z2"}) || c.Status().Server != "b:1" {
		t.Errorf("config %+v, server %s", c.config, c.Status().Server)
	}
	if v := mustSubscribe(t, c, "pay").View(); len(v.Instances()) != 1 || v.Instances()[0].Endpoints[0].Address != "localhost:9000" {
		t.Errorf("the overridden service is %v", ids(v))
	}
	if !strings.Contains(log.String(), "environment variables that mean nothing: MUSTER_SERVER; most likely misspelt") {
		t.Errorf("log %s", log.String())
	}
}

func TestWrongEnvironmentIsAnErrorThatNamesTheVariable(t *testing.T) {
	t.Setenv("MUSTER_SERVERS", "registry")
	_, err := NewFromEnvironment()
	want := `muster: environment variable MUSTER_SERVERS is "registry": "registry" is no host:port, such as 127.0.0.1:7070 [INVALID_ARGUMENT]`
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant %s", err, want)
	}
	t.Setenv("MUSTER_SERVERS", "a:1")
	t.Setenv("MUSTER_TOKEN_FILE", "/token")
	if _, err := NewFromEnvironment(); ReasonOf(err) != ReasonInvalidArgument || !strings.Contains(err.Error(), "a token without TLS") {
		t.Errorf("error %v", err)
	}
}
