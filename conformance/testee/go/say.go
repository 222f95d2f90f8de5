package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/status"

	muster "github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/mustergrpc"
)

// say writes one line. Whether somebody reads it is none of the testee's
// business.
func (t *testee) say(line any) {
	t.outMu.Lock()
	defer t.outMu.Unlock()
	_ = t.out.Encode(line)
}

// answer answers a command.
func (t *testee) answer(id uint64, ok answer, err error) {
	if err != nil {
		t.say(map[string]any{"id": id, "error": errorFields(err)})
		return
	}
	if ok == nil {
		ok = answer{}
	}
	t.say(map[string]any{"id": id, "ok": ok})
}

// event tells what a channel showed.
func (t *testee) event(on, kind string, fields answer) {
	line := map[string]any{"on": on, "event": kind}
	for name, value := range fields {
		line[name] = value
	}
	t.say(line)
}

// errorFields are what a program can read from an error, and under "about"
// what differs from run to run. An error that is none of the client's is a
// mistake in the command, with reason TESTEE.
func errorFields(err error) answer {
	var failed *muster.Error
	var call *callError
	if errors.As(err, &call) {
		err = call.error
	} else if errors.As(err, &failed) {
		about := answer{"text": err.Error(), "retry_after_ms": failed.RetryAfter.Milliseconds()}
		return answer{
			"reason": string(failed.Reason), "code": code.Code(failed.Code).String(), "retryable": failed.Retryable(), "about": about,
		}
	}
	if s, is := status.FromError(err); is {
		return answer{"reason": string(mustergrpc.ReasonOf(err)), "code": code.Code(s.Code()).String(), "about": answer{"text": s.Message()}}
	}
	if errors.Is(err, context.Canceled) {
		return answer{"reason": "CANCELLED", "code": "CANCELLED", "about": answer{"text": err.Error()}}
	}
	return answer{"reason": "TESTEE", "about": answer{"text": err.Error()}}
}

// callError is the error of a call through a channel, of which users see the
// status.
type callError struct{ error }

// unknown is the error of an option that a command does not have.
func unknown(c command, option string) error {
	return fmt.Errorf("%s: unknown option %s", c.Do, option)
}

func missing(c command, what string) error {
	return fmt.Errorf("%s %s: there is no %s of this name", c.Do, c.name(), what)
}
