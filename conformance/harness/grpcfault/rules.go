package grpcfault

import (
	"context"
	"path"
	"slices"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Rules are what the proxy does to calls, by the last part of their method's
// name, such as "Register"; "*" is every method. They are safe for concurrent
// use.
type Rules struct {
	mu        sync.Mutex
	refusals  []*refusal
	losses    map[string]int
	swallows  map[string]bool
	holds     map[string]chan struct{}
	frames    []*alteration
	token     string
	calls     map[string]int
	open      map[*verdict]string
	uncertain time.Duration
}

// refusal answers calls with an error in the registry's place.
type refusal struct {
	method string
	err    error
	after  int // calls that pass before
	times  int // calls that it answers; -1 is all
}

// verdict is what is to become of one call.
type verdict struct {
	lost bool
	// mute is closed when the call is to show nothing more.
	mute chan struct{}
	end  chan error
	done func()
}

// NewRules are none.
func NewRules() *Rules {
	return &Rules{
		losses: map[string]int{}, swallows: map[string]bool{}, holds: map[string]chan struct{}{},
		calls: map[string]int{}, open: map[*verdict]string{},
	}
}

// Refusal is an error as the registry would give it.
type Refusal struct {
	// Code of the status.
	Code codes.Code
	// Reason of the ErrorInfo; empty leaves it out.
	Reason string
	// Retry is what RetryInfo says; 0 leaves it out.
	Retry time.Duration
	// After so many calls that pass.
	After int
	// Times is how many calls get it; -1 is all from then on.
	Times int
}

// Refuse answers calls of a method with an error.
func (r *Rules) Refuse(method string, with Refusal) {
	s := status.New(with.Code, "the proxy refuses "+method)
	var details []protoadapt.MessageV1
	if with.Reason != "" {
		details = append(details, &errdetails.ErrorInfo{Domain: "muster", Reason: with.Reason})
	}
	if with.Retry != 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(with.Retry)})
	}
	if detailed, err := s.WithDetails(details...); err == nil && details != nil {
		s = detailed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusals = append(r.refusals, &refusal{method, s.Err(), with.After, with.Times})
}

// Lose passes the next calls of a method on and loses their answers: the
// caller gets UNAVAILABLE.
func (r *Rules) Lose(method string, times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.losses[method] = times
}

// Swallow loses every message of the client in calls of a method; the calls
// stay open.
func (r *Rules) Swallow(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swallows[method] = true
}

// Hold holds back the answers of a method until Release or Clear.
func (r *Rules) Hold(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.holds[method] == nil {
		r.holds[method] = make(chan struct{})
	}
}

// Release lets go of what Hold held back.
func (r *Rules) Release(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if held := r.holds[method]; held != nil {
		close(held)
		delete(r.holds, method)
	}
}

// Token lets only calls pass whose authorization is "Bearer TOKEN", and ends
// the open ones of others; empty lets all pass.
func (r *Rules) Token(token string) {
	r.mu.Lock()
	r.token = token
	r.mu.Unlock()
	if token != "" {
		r.End("*", unauthenticated())
	}
}

func unauthenticated() error {
	s, _ := status.New(codes.Unauthenticated, "the token has expired").
		WithDetails(&errdetails.ErrorInfo{Domain: "muster", Reason: "UNAUTHENTICATED"})
	return s.Err()
}

// End ends the open calls of a method with an error; nil is OK.
func (r *Rules) End(method string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for v, m := range r.open {
		if fits(method, m) {
			select {
			case v.end <- err:
			default:
			}
		}
	}
}

// Mute lets the open calls of a method show nothing more, for ever: they stay
// open, and new ones are well.
func (r *Rules) Mute(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for v, m := range r.open {
		if fits(method, m) && !v.muted() {
			close(v.mute)
		}
	}
}

func (v *verdict) muted() bool {
	select {
	case <-v.mute:
		return true
	default:
		return false
	}
}

// Calls is how many calls of a method came since the start, those included
// that were refused.
func (r *Rules) Calls(method string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if method != "*" {
		return r.calls[method]
	}
	sum := 0
	for _, n := range r.calls {
		sum += n
	}
	return sum
}

// Clear takes all rules back; the counts stay.
func (r *Rules) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for method, held := range r.holds {
		close(held)
		delete(r.holds, method)
	}
	r.refusals, r.frames, r.token, r.uncertain = nil, nil, "", 0
	clear(r.losses)
	clear(r.swallows)
}

func fits(rule, method string) bool { return rule == "*" || rule == method }

// call decides on a new call.
func (r *Rules) call(full string, md metadata.MD) (*verdict, error) {
	method := path.Base(full)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[method]++
	// Whoever connects asks what the server is before it shows who it is itself.
	if r.token != "" && method != "GetServerInfo" && !slices.Contains(md.Get("authorization"), "Bearer "+r.token) {
		return nil, unauthenticated()
	}
	for _, refused := range r.refusals {
		if !fits(refused.method, method) || refused.times == 0 {
			continue
		}
		if refused.after > 0 {
			refused.after--
			continue
		}
		if refused.times > 0 {
			refused.times--
		}
		return nil, refused.err
	}
	v := &verdict{end: make(chan error, 1), mute: make(chan struct{})}
	if r.losses[method] > 0 {
		r.losses[method]--
		v.lost = true
	}
	r.open[v] = method
	v.done = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.open, v)
	}
	return v, nil
}

// request tells whether a message of the client passes.
func (r *Rules) request(full string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.swallows[path.Base(full)] && !r.swallows["*"]
}

// response holds back and alters a message of the registry.
func (r *Rules) response(ctx context.Context, full string, bytes []byte) ([][]byte, error) {
	method := path.Base(full)
	r.mu.Lock()
	held := r.holds[method]
	r.mu.Unlock()
	if held != nil {
		if err := until(ctx, held); err != nil {
			return nil, err
		}
	}
	switch method {
	case "Watch":
		return r.alterFrame(bytes)
	case "KeepAlive":
		return r.alterKeepAlive(bytes)
	}
	return [][]byte{bytes}, nil
}
