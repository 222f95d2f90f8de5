package mustergrpc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	expired      = musterv1.RemovalReason_REMOVAL_REASON_EXPIRED
	deregistered = musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED
)

func weighing(w uint32) func(*musterv1.Instance) {
	return func(i *musterv1.Instance) { i.Weight = &w }
}

func being(l musterv1.Lifecycle) func(*musterv1.Instance) {
	return func(i *musterv1.Instance) { i.Lifecycle = l }
}

func feeling(h musterv1.Health) func(*musterv1.Instance) {
	return func(i *musterv1.Instance) { i.Health = h }
}

// failure checks an error's code and reason, and returns its text.
func failure(t *testing.T, err error, reason muster.Reason) string {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != codes.Unavailable {
		t.Fatalf("code %v of %v, want UNAVAILABLE", st.Code(), err)
	}
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetReason() == string(reason) && info.GetDomain() == "muster" {
			return st.Message()
		}
	}
	t.Fatalf("%v has no ErrorInfo of reason %s", err, reason)
	return ""
}

func TestCallsAreSpreadOverReadyInstances(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, id := range []string{"1", "2", "3"} {
			w.fleet.start("10.0.0." + id + ":80")
			w.put("pay-"+id, "10.0.0."+id+":80")
		}
		c := w.channel(t)
		if _, err := call(t, c); err != nil {
			t.Fatalf("the first call waits for the view and a connection: %v", err)
		}
		settle()
		expectSpread(t, spread(t, c, 300), map[string]int{"10.0.0.1:80": 100, "10.0.0.2:80": 100, "10.0.0.3:80": 100})
	})
}

func TestAuthorityNamesTheService(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		authority := func(c healthpb.HealthClient) string {
			var header metadata.MD
			if _, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{}, grpc.Header(&header)); err != nil {
				t.Fatal(err)
			}
			return header.Get("authority")[0]
		}
		c := w.channel(t)
		if got := authority(c); got != "pay.shop" {
			t.Errorf("authority %q, want pay.shop", got)
		}
		w.put("pay-1", "10.0.0.1:80", func(i *musterv1.Instance) { i.Endpoints[0].ServerName = "pay.example.com" })
		settle()
		if got := authority(c); got != "pay.example.com" {
			t.Errorf("authority %q, want the endpoint's", got)
		}
	})
}

func TestOnlyInstancesThatTakeCallsArePicked(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2", "3", "4", "5"} {
			w.fleet.start("10.0.0." + a + ":80")
		}
		w.put("pay-1", "10.0.0.1:80")
		w.put("pay-2", "10.0.0.2:80", being(musterv1.Lifecycle_LIFECYCLE_STARTING))
		w.put("pay-3", "10.0.0.3:80", being(musterv1.Lifecycle_LIFECYCLE_DRAINING))
		w.put("pay-4", "10.0.0.4:80", weighing(0))
		w.put("pay-5", "10.0.0.5:80", feeling(musterv1.Health_HEALTH_UNHEALTHY))
		c := w.channel(t)
		settle()
		if diff := cmp.Diff(map[string]int{"10.0.0.1:80": 20}, spread(t, c, 20)); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		w.put("pay-1", "10.0.0.1:80", weighing(0))
		w.put("pay-2", "10.0.0.2:80")
		settle()
		if diff := cmp.Diff(map[string]int{"10.0.0.2:80": 10, "10.0.0.5:80": 0}, spread(t, c, 10)); diff == "" {
			t.Errorf("unexpected: %v", diff)
		}
	})
}

func TestPanicIgnoresHealthWhenFewerThanHalfAreHealthy(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		sick := feeling(musterv1.Health_HEALTH_UNHEALTHY)
		for _, a := range []string{"1", "2", "3", "4"} {
			w.fleet.start("10.0.0." + a + ":80")
		}
		w.put("pay-1", "10.0.0.1:80")
		w.put("pay-2", "10.0.0.2:80", feeling(musterv1.Health_HEALTH_DEGRADED))
		w.put("pay-3", "10.0.0.3:80", sick)
		w.put("pay-4", "10.0.0.4:80", sick)
		c := w.channel(t)
		settle()
		if got := spread(t, c, 100); len(got) != 2 {
			t.Errorf("two of four are healthy, and %v answer", got)
		}
		w.put("pay-2", "10.0.0.2:80", sick)
		settle()
		if got := spread(t, c, 100); len(got) != 4 {
			t.Errorf("one of four is healthy, and only %v answer", got)
		}
	})
}

func TestCallsWithoutInstancesFailAtOnceAndSayWhy(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		c := w.channel(t)
		expect := func(reason muster.Reason, want string) {
			t.Helper()
			settle()
			began := time.Now()
			_, err := call(t, c)
			if got := failure(t, err, reason); got != want {
				t.Errorf("text\n%s\nwant\n%s", got, want)
			}
			if d := time.Since(began); d != 0 {
				t.Errorf("it took %v to fail", d)
			}
		}
		expect(muster.ReasonServiceUnknown, `service "shop/pay" has never been registered (epoch 7, revision 100) [SERVICE_UNKNOWN]`)
		w.put("pay-7", "10.0.0.7:80")
		w.remove(deregistered, "pay-7")
		expect(muster.ReasonNoInstances, "shop/pay has no instances: the last one deregistered (pay-7, revision 102) [NO_INSTANCES]")
		w.put("pay-8", "10.0.0.8:80")
		w.remove(expired, "pay-8")
		expect(muster.ReasonNoInstances, "shop/pay has no instances: the last one expired (pay-8, revision 104) [NO_INSTANCES]")
		w.put("pay-1", "10.0.0.1:80", being(musterv1.Lifecycle_LIFECYCLE_DRAINING))
		w.put("pay-2", "10.0.0.2:80", being(musterv1.Lifecycle_LIFECYCLE_STARTING))
		w.put("pay-3", "10.0.0.3:80", weighing(0))
		w.put("pay-4", "10.0.0.4:80", func(i *musterv1.Instance) { i.Endpoints[0].Protocol = musterv1.Protocol_PROTOCOL_HTTP })
		expect(muster.ReasonNoInstances, "shop/pay has 4 instances, none takes requests: 1 draining, 1 starting, 1 of weight 0, 1 without a gRPC endpoint [NO_INSTANCES]")
		_, err := call(t, c)
		var e *muster.Error
		if !errors.As(err, &e) || !errors.Is(err, muster.ErrNoInstances) {
			t.Errorf("the error is a %T", err)
		}
	})
}

func TestNoViewFailsAfterFiveSeconds(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.server.Stop()
		began := time.Now()
		c := w.channel(t)
		_, err := call(t, c)
		text := failure(t, err, muster.ReasonNoView)
		if d := time.Since(began); d != defaults.FirstViewWait {
			t.Errorf("failed after %v, want %v", d, defaults.FirstViewWait)
		}
		const prefix = "no view of shop/pay within 5s (last error: no registry server reachable: a:1 (connection refused); "
		if !strings.HasPrefix(text, prefix) {
			t.Errorf("text %q", text)
		}
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		w.server.Start()
		if _, err := call(t, c, grpc.WaitForReady(true)); err != nil {
			t.Errorf("a call that waits for readiness: %v", err)
		}
	})
}

func TestNoReadyEndpointSaysTheLastError(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.put("pay-1", "10.0.0.1:80")
		c := w.channel(t)
		_, err := call(t, c)
		want := "none of 1 endpoint of shop/pay can be reached: 10.0.0.1:80: connection refused; still retrying [NO_READY_ENDPOINT]"
		if got := failure(t, err, muster.ReasonNoReadyEndpoint); got != want {
			t.Errorf("text\n%s\nwant\n%s", got, want)
		}
		go func() {
			time.Sleep(3 * time.Second)
			w.fleet.start("10.0.0.1:80")
		}()
		if _, err := call(t, c, grpc.WaitForReady(true)); err != nil {
			t.Errorf("a call that waits for readiness: %v", err)
		}
	})
}

func TestEndpointBackoffIsCappedAndVoidForANewRegistration(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.put("pay-1", "10.0.0.1:80")
		c := w.channel(t)
		time.Sleep(2 * time.Minute)
		settle()
		before := w.fleet.dialled("10.0.0.1:80")
		if before < 24 || before > 120 {
			t.Errorf("%d attempts in two minutes; at most 5 s apart, evenly spread", before)
		}
		w.fleet.start("10.0.0.1:80")
		// The same process says that it is there: same address, same id, anew.
		w.remove(expired, "pay-1")
		w.put("pay-1", "10.0.0.1:80")
		began := time.Now()
		if _, err := call(t, c, grpc.WaitForReady(true)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d > 10*time.Millisecond {
			t.Errorf("connected %v after the registration", d)
		}
	})
}

func TestMuteEndpointTimesOut(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.mute["10.0.0.1:80"] = true
		w.put("pay-1", "10.0.0.1:80")
		c := w.channel(t)
		began := time.Now()
		_, err := call(t, c)
		failure(t, err, muster.ReasonNoReadyEndpoint)
		if d := time.Since(began); d < defaults.EndpointConnectTimeout || d > defaults.EndpointConnectTimeout+time.Second {
			t.Errorf("failed after %v, the connect timeout is %v", d, defaults.EndpointConnectTimeout)
		}
	})
}

func TestKilledInstanceLeavesTheTableAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
		}
		c := w.channel(t)
		settle()
		spread(t, c, 10)
		w.fleet.stop("10.0.0.1:80")
		synctest.Wait()
		if diff := cmp.Diff(map[string]int{"10.0.0.2:80": 50}, spread(t, c, 50)); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		w.fleet.start("10.0.0.1:80")
		time.Sleep(6 * time.Second)
		if got := spread(t, c, 50); len(got) != 2 {
			t.Errorf("after it came back only %v answer", got)
		}
	})
}

func TestSoleEndpointThatRestartsIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		c := w.channel(t)
		spread(t, c, 1)
		time.Sleep(time.Minute)
		w.fleet.mu.Lock()
		old := w.fleet.servers["10.0.0.1:80"]
		w.fleet.mu.Unlock()
		w.fleet.start("10.0.0.1:80") // the new process listens before the old one goes
		old.Stop()
		synctest.Wait() // a call that began before it is known would fail
		began := time.Now()
		spread(t, c, 10)
		if d := time.Since(began); d != 0 {
			t.Errorf("calls waited for %v after the restart", d)
		}
	})
}

func TestConnectionThatBrokeSoonIsTriedAgainLater(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		c := w.channel(t)
		settle()
		spread(t, c, 1)
		w.fleet.stop("10.0.0.1:80") // soon after it became ready: the next attempt waits
		w.fleet.start("10.0.0.1:80")
		synctest.Wait()
		_, err := call(t, c)
		if text := failure(t, err, muster.ReasonNoReadyEndpoint); !strings.Contains(text, "connection lost; still retrying") {
			t.Errorf("text %s", text)
		}
		began := time.Now()
		if _, err := call(t, c, grpc.WaitForReady(true)); err != nil {
			t.Errorf("a call that waits for readiness: %v", err)
		}
		if d := time.Since(began); d > 200*time.Millisecond {
			t.Errorf("the call waited for %v", d)
		}
	})
}

func TestRemovedEndpointFinishesItsStreams(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
		}
		w.put("pay-1", "10.0.0.1:80")
		c := w.channel(t)
		stream, err := c.Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		w.put("pay-2", "10.0.0.2:80")
		w.remove(deregistered, "pay-1")
		settle()
		if diff := cmp.Diff(map[string]int{"10.0.0.2:80": 20}, spread(t, c, 20)); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if n := w.fleet.connections("10.0.0.1:80"); n != 1 {
			t.Errorf("%d connections carry the stream, want 1", n)
		}
		w.fleet.stop("10.0.0.1:80")
		if _, err := stream.Recv(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("the stream lived until its server stopped, then: %v", err)
		}
	})
}

func TestRemovedEndpointIsDisconnected(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
		}
		c := w.channel(t)
		settle()
		spread(t, c, 4)
		w.remove(deregistered, "pay-1")
		settle()
		if one, two := w.fleet.connections("10.0.0.1:80"), w.fleet.connections("10.0.0.2:80"); one != 0 || two != 1 {
			t.Errorf("%d connections to the removed endpoint, %d to the other", one, two)
		}
	})
}

func TestUnchangedInstancesKeepTheirConnections(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		c := w.channel(t)
		spread(t, c, 1)
		for weight := range uint32(50) {
			w.put("pay-1", "10.0.0.1:80", weighing(weight+1))
			w.put("pay-2", "10.0.0.1:80") // a second instance at one address
			settle()
		}
		w.server.Stop()
		time.Sleep(time.Minute)
		w.server.Start()
		time.Sleep(time.Minute)
		spread(t, c, 1)
		if n := w.fleet.dialled("10.0.0.1:80"); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

func TestRegistryOutageKeepsServing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		c := w.channel(t)
		spread(t, c, 1)
		w.server.Stop()
		time.Sleep(time.Hour)
		spread(t, c, 10)
	})
}

func TestDrainIsAcknowledgedOnlyWhenNoCallCanFindTheInstance(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, a := range []string{"1", "2"} {
			w.fleet.start("10.0.0." + a + ":80")
			w.put("pay-"+a, "10.0.0."+a+":80")
		}
		c := w.channel(t)
		settle()
		w.registry.AskAck()
		w.put("pay-1", "10.0.0.1:80", being(musterv1.Lifecycle_LIFECYCLE_DRAINING))
		synctest.Wait()
		acks := fakeregistry.Calls[*musterv1.AckWatchRequest](w.registry)
		if _, revision := w.registry.Position(); len(acks) != 1 || acks[0].GetRevision() != revision {
			t.Fatalf("acknowledgements %v, the drain is at %d", acks, revision)
		}
		if diff := cmp.Diff(map[string]int{"10.0.0.2:80": 20}, spread(t, c, 20)); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

// A view that changes nothing for the channel must still be told as applied:
// the registry may ask for it.
func TestViewsThatChangeNothingAreAcknowledgedToo(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.registry.EditFrame = func(f *musterv1.WatchResponse) bool {
			if p := f.GetProgress(); p != nil {
				p.Header.AckRequest = &musterv1.AckRequest{}
			}
			return true
		}
		w.fleet.start("10.0.0.1:80")
		w.put("pay-1", "10.0.0.1:80")
		spread(t, w.channel(t), 1)
		w.registry.Put(&musterv1.Instance{Namespace: "shop", Service: "cart", InstanceId: "cart-1"})
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if n := len(fakeregistry.Calls[*musterv1.AckWatchRequest](w.registry)); n != 1 {
			t.Errorf("%d acknowledgements, want 1", n)
		}
	})
}

func TestOtherServiceConfigIsToldApart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.put("pay-1", "10.0.0.1:80")
		_, err := NewClient(w.client, "muster:///shop/pay", grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"pick_first":{}}]}`))
		if muster.ReasonOf(err) != muster.ReasonInvalidArgument || !strings.Contains(err.Error(), "selects another balancer") {
			t.Errorf("error %v", err)
		}
	})
}

func TestClosedClientFailsCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		c := w.channel(t)
		settle()
		_ = w.client.Close()
		settle()
		_, err := call(t, c)
		failure(t, err, muster.ReasonClosed)
		if _, err := NewClient(w.client, "muster:///shop/pay"); muster.ReasonOf(err) != muster.ReasonClosed {
			t.Errorf("NewClient: %v", err)
		}
	})
}

func TestEndpointsSayWhetherToSpeakTLS(t *testing.T) {
	certificate, roots := certificateFor(t, "pay.shop")
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.options = []grpc.ServerOption{grpc.Creds(credentials.NewServerTLSFromCert(&certificate))}
		w.fleet.start("10.0.0.1:443")
		w.fleet.options = nil
		w.fleet.start("10.0.0.2:80")
		w.put("pay-1", "10.0.0.1:443", func(i *musterv1.Instance) {
			i.Endpoints[0].Security = musterv1.TransportSecurity_TRANSPORT_SECURITY_TLS
		})
		w.put("pay-2", "10.0.0.2:80")
		trust := EndpointCredentials(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ServerName: "replaced"})
		c := w.channel(t, grpc.WithTransportCredentials(trust))
		settle()
		if got := spread(t, c, 20); len(got) != 2 {
			t.Errorf("only %v answer", got)
		}
		w.remove(deregistered, "pay-2")
		w.put("pay-1", "10.0.0.1:443", func(i *musterv1.Instance) {
			i.Endpoints[0].Security = musterv1.TransportSecurity_TRANSPORT_SECURITY_TLS
			i.Endpoints[0].ServerName = "cart.shop"
		})
		settle()
		_, err := call(t, c)
		if text := failure(t, err, muster.ReasonNoReadyEndpoint); !strings.Contains(text, "valid for pay.shop, not cart.shop") {
			t.Errorf("the text does not name both: %s", text)
		}
		w.put("pay-1", "10.0.0.1:443", func(i *musterv1.Instance) {
			i.Endpoints[0].Security = musterv1.TransportSecurity_TRANSPORT_SECURITY_MUTUAL_TLS
		})
		settle()
		_, err = call(t, c)
		if text := failure(t, err, muster.ReasonNoReadyEndpoint); !strings.Contains(text, "asks for a certificate of the client") {
			t.Errorf("text %s", text)
		}
	})
}

// certificateFor makes a certificate that signs itself.
func certificateFor(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func TestChannelsWorkWithOverrides(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fleet.start("localhost:9000")
		w.put("pay-1", "10.0.0.1:80")
		expectSpread(t, spread(t, w.channel(t), 10), map[string]int{"localhost:9000": 10})
		if n := len(w.registry.Log()); n != 0 {
			t.Errorf("the registry was asked %d times", n)
		}
	}, muster.WithOverride(muster.InstanceSpec{
		Namespace: "shop", Service: "pay", Endpoints: []muster.EndpointSpec{{Address: "localhost:9000"}},
	}))
}
