package play

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/muster-registry/muster/conformance/harness/grpcfault"
	"github.com/muster-registry/muster/conformance/harness/netfault"
	"github.com/muster-registry/muster/conformance/harness/scenario"
	"github.com/muster-registry/muster/conformance/harness/stage"
)

// proxy carries out what a proxy is to do. Faults of the network work with
// every proxy, the others need one that reads gRPC.
func (p *player) proxy(number int, args []string, s *scenario.Step) error {
	if args[0] == "start" {
		return p.startProxy(number, args[1:], s)
	}
	proxy, err := p.stage.Proxy(number)
	if err != nil {
		return err
	}
	if counted := proxyCount(proxy, args); counted != nil {
		return p.until(s, func(context.Context) (string, error) {
			return wrong(within(counted(), args[len(args)-1], "came so far")), nil
		})
	}
	if args[0] == "clear" && proxy.GRPC != nil {
		proxy.GRPC.Rules().Clear()
	}
	if known, err := networkFault(proxy.Net, args); known {
		return err
	}
	if proxy.GRPC == nil {
		return stage.ErrNoGRPC
	}
	return callFault(proxy.GRPC, args, s)
}

// startProxy reads "[grpc] [tls] [server=N]".
func (p *player) startProxy(number int, kinds []string, s *scenario.Step) error {
	target, err := count(s.Options["server"], number)
	if err != nil {
		return err
	}
	o := stage.ProxyOptions{Server: target}
	for _, kind := range kinds {
		switch kind {
		case "grpc":
			o.GRPC = true
		case "tls":
			o.TLS = true
		default:
			return fmt.Errorf("proxy start %s: the kinds are grpc and tls", kind)
		}
	}
	return p.stage.StartProxy(number, o)
}

// proxyCount is what a statement about a count looks at; nil for any other.
func proxyCount(proxy *stage.Proxy, args []string) func() int {
	switch {
	case args[0] == "connections":
		return proxy.Net.Accepted
	case args[0] == "calls" && proxy.GRPC != nil:
		return func() int { return proxy.GRPC.Rules().Calls(args[1]) }
	}
	return nil
}

var directions = map[string][]netfault.Direction{
	"": {netfault.Up, netfault.Down}, "both": {netfault.Up, netfault.Down}, "up": {netfault.Up}, "down": {netfault.Down},
}

// networkFault tells whether it knew what to do.
func networkFault(n *netfault.Proxy, args []string) (bool, error) {
	what := ""
	if len(args) > 1 {
		what = args[1]
	}
	switch args[0] {
	case "clear":
		return true, n.Clear()
	case "delay":
		delay, err := time.ParseDuration(what)
		n.Delay(delay)
		return true, err
	case "reset":
		n.Reset()
	case "refuse":
		n.Refuse()
	case "accept":
		return true, n.Accept()
	case "half-open":
		n.HalfOpen()
	case "blackhole", "drop":
		ways, known := directions[what]
		if !known {
			return true, fmt.Errorf("%s: the directions are up, down and both", what)
		}
		if args[0] == "drop" {
			n.Drop(ways[0])
			return true, nil
		}
		n.Blackhole(ways...)
	case "slow":
		rate, err := size(strings.TrimSuffix(what, "/s"))
		n.Slow(rate)
		return true, err
	case "truncate":
		bytes, err := size(what)
		n.Truncate(bytes)
		return true, err
	default:
		return false, nil
	}
	return true, nil
}

// size reads 512, 512B, 1KB or 1MB.
func size(text string) (int, error) {
	factor := 1
	for _, unit := range []struct {
		name   string
		factor int
	}{{"KB", 1 << 10}, {"MB", 1 << 20}, {"B", 1}} {
		if number, is := strings.CutSuffix(text, unit.name); is {
			text, factor = number, unit.factor
			break
		}
	}
	n, err := strconv.Atoi(text)
	return n * factor, err
}

// within compares a count with "3", "..3", "1.." or "1..3".
func within(n int, bounds, what string) error {
	least, most, isRange := strings.Cut(bounds, "..")
	if !isRange {
		most = least
	}
	low, high := 0, n
	var err error
	if least != "" {
		if low, err = strconv.Atoi(least); err != nil {
			return err
		}
	}
	if most != "" {
		if high, err = strconv.Atoi(most); err != nil {
			return err
		}
	}
	if n < low || n > high {
		return fmt.Errorf("%d %s, not %s", n, what, bounds)
	}
	return nil
}

// callFault carries out what needs to read gRPC.
func callFault(g *grpcfault.Proxy, args []string, s *scenario.Step) error {
	rules := g.Rules()
	times, err := count(s.Options["times"], 1)
	if err != nil {
		return err
	}
	switch args[0] {
	case "error":
		return refuse(rules, args, s)
	case "lose":
		rules.Lose(args[1], times)
	case "mute":
		rules.Mute(args[1])
	case "swallow":
		rules.Swallow(args[1])
	case "hold":
		rules.Hold(args[1])
	case "release":
		rules.Release(args[1])
	case "end":
		code, err := codeOf(append(args, "OK")[2])
		rules.End(args[1], status.Error(code, "the proxy ended the stream"))
		return err
	case "frame":
		return rules.Alter(args[1], s.Options["kind"], times)
	case "goaway":
		g.GoAway()
	case "token":
		rules.Token(args[1])
	case "unconfirmed":
		return unconfirmed(rules, args)
	}
	return nil
}

// count reads a number of times; "all" is for ever.
func count(text string, usual int) (int, error) {
	switch text {
	case "":
		return usual, nil
	case "all":
		return -1, nil
	}
	return strconv.Atoi(text)
}

func unconfirmed(rules *grpcfault.Rules, args []string) error {
	retry := time.Second
	if len(args) > 1 {
		var err error
		if retry, err = time.ParseDuration(args[1]); err != nil {
			return err
		}
	}
	rules.Unconfirmed(retry)
	return nil
}

func refuse(rules *grpcfault.Rules, args []string, s *scenario.Step) error {
	code, err := codeOf(args[2])
	if err != nil {
		return err
	}
	with := grpcfault.Refusal{Code: code, Reason: s.Options["reason"]}
	if with.Times, err = count(s.Options["times"], -1); err != nil {
		return err
	}
	if with.After, err = count(s.Options["after"], 0); err != nil {
		return err
	}
	if text := s.Options["retry"]; text != "" {
		if with.Retry, err = time.ParseDuration(text); err != nil {
			return err
		}
	}
	rules.Refuse(args[1], with)
	return nil
}

// codeOf reads the name of a gRPC code, such as RESOURCE_EXHAUSTED.
func codeOf(name string) (codes.Code, error) {
	var code codes.Code
	if err := code.UnmarshalJSON([]byte(strconv.Quote(name))); err != nil || !slices.Contains([]string{strings.ToUpper(name)}, name) {
		return 0, fmt.Errorf("%s is no gRPC code such as UNAVAILABLE: %w", name, err)
	}
	return code, nil
}
