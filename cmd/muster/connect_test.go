package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

// runApp runs a command line to its end.
func runApp(t *testing.T, a *app, args ...string) (exit int, shown string) {
	t.Helper()
	var text transcript
	a.out, a.err, a.zone = text.writer(false), text.writer(true), time.UTC
	exit = a.run(t.Context(), args)
	return exit, text.show(exitOK, true)
}

// Which servers are tried: those of the flag, else of the environment, else
// the default, and each of them in order.
func TestServersThatAreTried(t *testing.T) {
	tests := []struct {
		name    string
		environ []string
		args    []string
		want    string
	}{
		{"default", nil, nil, "127.0.0.1:7070"},
		{"environment", []string{"MUSTER_SERVERS=a:1, b:2"}, nil, "a:1 b:2"},
		{"environment with zones", []string{"MUSTER_SERVERS=a:1@eu-1, b:2,[::1]:3@eu-2"}, nil, "a:1 b:2 [::1]:3"},
		{"flag", []string{"MUSTER_SERVERS=a:1"}, []string{"--server", "c:3,d:4", "--server", "e:5"}, "c:3 d:4 e:5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tried []string
			a := &app{environ: tt.environ, dial: func(_ context.Context, address string) (net.Conn, error) {
				tried = append(tried, address)
				return nil, errors.New("down")
			}}
			exit, shown := runApp(t, a, append([]string{"list"}, tt.args...)...)
			if got := strings.Join(tried, " "); got != tt.want || exit != exitUnavailable {
				t.Errorf("tried %s, exit code %d, want %s:\n%s", got, exit, tt.want, shown)
			}
		})
	}
}

func TestEnvironmentServersAreChecked(t *testing.T) {
	for _, wrong := range []string{"nowhere", "a:1@"} {
		exit, shown := runApp(t, &app{environ: []string{"MUSTER_SERVERS=" + wrong}}, "list")
		if exit != exitUsage || !strings.Contains(shown, "MUSTER_SERVERS: \""+wrong+"\" is not host:port") {
			t.Errorf("%s: exit code %d:\n%s", wrong, exit, shown)
		}
	}
}

func TestConnectSaysWhatIsInTheWay(t *testing.T) {
	tests := []struct {
		name string
		dial func(context.Context, string) (net.Conn, error)
		says string
	}{
		{"never answers", func(ctx context.Context, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "no answer within 3s"},
		{"accepts and is silent", func(context.Context, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				defer server.Close()
				for b := make([]byte, 1024); ; {
					if _, err := server.Read(b); err != nil {
						return
					}
				}
			}()
			return client, nil
		}, "no answer within 3s"},
		{"speaks another protocol", func(context.Context, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() { _, _ = server.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }()
			go func() {
				defer server.Close()
				_, _ = io.Copy(io.Discard, server)
			}()
			return client, nil
		}, "it does not speak gRPC in plaintext"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				exit, shown := runApp(t, &app{dial: tt.dial}, "list")
				if exit != exitUnavailable || !strings.Contains(shown, "127.0.0.1:7070 ("+tt.says+")") {
					t.Errorf("exit code %d:\n%s", exit, shown)
				}
			})
		})
	}
}

type newServer struct {
	musterv1.UnimplementedServerServiceServer
}

// GetServerInfo implements ServerService.
func (newServer) GetServerInfo(context.Context, *musterv1.GetServerInfoRequest) (*musterv1.GetServerInfoResponse, error) {
	return &musterv1.GetServerInfoResponse{OldestProtocol: 2, NewestProtocol: 3}, nil
}

func TestConnectRefusesAProtocolThatItDoesNotSpeak(t *testing.T) {
	lis, g := bufconn.Listen(1<<16), grpc.NewServer()
	musterv1.RegisterServerServiceServer(g, newServer{})
	served := make(chan error, 1)
	go func() { served <- g.Serve(lis) }()
	exit, shown := runApp(t, &app{dial: func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }}, "list")
	if exit != exitUnavailable || !strings.Contains(shown, "it serves protocol 2 to 3, this program speaks 1; use another release") {
		t.Errorf("exit code %d:\n%s", exit, shown)
	}
	g.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A list that does not fit on one page is shown whole.
func TestListJoinsPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		const services = 2*listPage + 1
		for n := 0; n < services; {
			var some []*musterv1.Instance
			for ; n < services && len(some) < 40; n++ {
				some = append(some, servertest.Instance(fmt.Sprintf("service-%05d", n), "i"))
			}
			if _, err := c.Register(t.Context(), servertest.Register(time.Hour, some...)); err != nil {
				t.Fatal(err)
			}
		}
		exit, shown := runApp(t, &app{dial: s.DialContext}, "list", "shop")
		lines := strings.Split(strings.TrimSpace(shown), "\n")
		if exit != exitOK || len(lines) != services+1 || !strings.HasPrefix(lines[services], "shop/service-02000 ") {
			t.Errorf("exit code %d, %d lines, the last is %q", exit, len(lines), lines[len(lines)-1])
		}
	})
}

func TestLeaseOfTheEnvironment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		res, err := s.Dial().Register(t.Context(), servertest.Register(time.Hour, servertest.Instance("pay", "pay-1")))
		if err != nil {
			t.Fatal(err)
		}
		a := &app{dial: s.DialContext, environ: []string{"MUSTER_LEASE=" + res.GetLease().GetLeaseId()}}
		if exit, shown := runApp(t, a, "deregister", "shop/pay/pay-1"); exit != exitOK {
			t.Errorf("exit code %d:\n%s", exit, shown)
		}
	})
}
