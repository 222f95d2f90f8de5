package mustergrpc

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
)

// Settings of the process or the caller that break other balancers.

func TestServiceConfigMayBeDisabled(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
		}
		c := w.channel(t, grpc.WithDisableServiceConfig())
		settle()
		if got := spread(t, c, 40); len(got) != 2 {
			t.Errorf("only %v answer", got)
		}
	})
}

func TestDisabledServiceConfigWithAnotherDefaultIsToldApart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		_, err := NewClient(w.client, "muster:///shop/pay", grpc.WithDisableServiceConfig(), grpc.WithDefaultServiceConfig(`{}`))
		if muster.ReasonOf(err) != muster.ReasonInvalidArgument || !strings.Contains(err.Error(), "selects another balancer") {
			t.Errorf("error %v", err)
		}
	})
}

func TestIdleChannelStaysConnected(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		c := w.channel(t, grpc.WithIdleTimeout(time.Minute))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		began := time.Now()
		spread(t, c, 1)
		if d := time.Since(began); d != 0 || w.fleet.dialled("10.0.0.1:80") != 1 {
			t.Errorf("the first call after two hours took %v, %d connections were made", d, w.fleet.dialled("10.0.0.1:80"))
		}
	})
}

func TestDiscoveryAndEvictionNeedNoCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		w.channel(t)
		settle()
		w.fleet.start("10.0.0.2:80")
		w.put("pay-2", "10.0.0.2:80")
		w.remove(expired, "pay-1")
		settle()
		if one, two := w.fleet.connections("10.0.0.1:80"), w.fleet.connections("10.0.0.2:80"); one != 0 || two != 1 {
			t.Errorf("%d connections to the removed endpoint, %d to the new one", one, two)
		}
	})
}

// TestProxySettingsAreIgnored needs an address that is not of the loopback
// interface, for which no proxy is ever used. TestMain sets the proxy. Channels
// are safe twice: proxies are off, and endpoints do not come as addresses of the
// resolver, which grpc would rewrite.
func TestProxySettingsAreIgnored(t *testing.T) {
	listener, err := net.Listen("tcp", net.JoinHostPort(ownAddress(t), "0"))
	if err != nil {
		t.Skipf("no address to listen at: %v", err)
	}
	server := healthServer()
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	w := &world{registry: fakeregistry.New()}
	defer w.registry.Close()
	w.server = w.registry.Server("a:1")
	if w.client, err = muster.New([]string{"a:1"}, muster.WithDial(w.registry.Dial)); err != nil {
		t.Fatal(err)
	}
	defer w.client.Close()
	w.put("pay-1", listener.Addr().String())
	conn, err := NewClient(w.client, "muster:///shop/pay", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := call(t, healthpb.NewHealthClient(conn)); err != nil {
		t.Errorf("a call with HTTPS_PROXY set: %v", err)
	}
}

func ownAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Skip(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has only the loopback interface")
	return ""
}
