package muster

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Every text that users read stands here, so that the Go and the Rust client
// say the same. The reason in brackets is added by Error.

// shortLease is how a lease is named to people: its id is a secret.
func shortLease(id string) string {
	return id[:min(len(id), 4)]
}

// seconds writes a duration as people do: "38ms", "1.9s", "41s", "2m05s",
// "3h12m".
func seconds(d time.Duration) string {
	whole := int64(d / time.Second)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", max(d.Milliseconds(), 0))
	case d < 10*time.Second:
		return d.Truncate(100 * time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%ds", whole)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", whole/60, whole%60)
	default:
		return fmt.Sprintf("%dh%02dm", whole/3600, whole/60%60)
	}
}

// exactly writes a duration without rounding: "10ms", "1.5s", "4000s".
func exactly(d time.Duration) string {
	if d.Abs() < time.Second {
		return d.String()
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}

func textNoServers() string {
	return "no registry servers given; pass at least one address, such as 127.0.0.1:7070"
}

func textServerAddress(problem error) string { return "registry server " + problem.Error() }

func textOption(name string, value any, allowed string) string {
	return fmt.Sprintf("option %s: %v is not allowed; %s", name, value, allowed)
}

// serverFailure is one server that was tried and why it did not serve.
type serverFailure struct {
	server string
	cause  string
}

// textNoServer is story 1. goesOn tells whether somebody is still retrying.
func textNoServer(failures []serverFailure, attempts int, since time.Duration, goesOn bool) string {
	tried := make([]string, len(failures))
	for i, f := range failures {
		tried[i] = fmt.Sprintf("%s (%s)", f.server, f.cause)
	}
	end := "gave up"
	if goesOn {
		end = "still retrying"
	}
	noun := "attempts"
	if attempts == 1 {
		noun = "attempt"
	}
	return fmt.Sprintf("no registry server reachable: %s; %d %s in %s, %s. Is \"muster server\" running?",
		strings.Join(tried, ", "), attempts, noun, seconds(since), end)
}

func textNoAnswer(after time.Duration) string { return "no answer within " + seconds(after) }

// textPlaintext is story 14.
func textPlaintext(server string) string {
	return fmt.Sprintf("server %s speaks plaintext, TLS was configured", server)
}

func textWrongName(server, wanted string, names []string) string {
	presented := "no name"
	if len(names) > 0 {
		presented = strings.Join(names, ", ")
	}
	return fmt.Sprintf("server %s has a certificate for %s, %s was wanted", server, presented, wanted)
}

func textUnknownAuthority(server string) string {
	return fmt.Sprintf("server %s has a certificate of an authority that is not trusted; see the CA file", server)
}

func textCertificateExpired(server string) string {
	return fmt.Sprintf("server %s has a certificate that has expired or is not valid yet", server)
}

// textFile is for a file of an option that cannot be used.
func textFile(option, path, why string) string {
	return fmt.Sprintf("option %s: file %s cannot be used: %s", option, path, why)
}

func textKeepsTLS(why string) string { return why + "; the certificates from before stay in use" }

func textUnknownVariables(names []string) string {
	return fmt.Sprintf("environment variables that mean nothing: %s; most likely misspelt", strings.Join(names, ", "))
}

func textNoToken(why string) string {
	return fmt.Sprintf("no token to call the registry with: %s; check the token source", why)
}

func textWrongCluster(server, got, want string) string {
	return fmt.Sprintf("server %s belongs to cluster %s, expected %s; trying others. Check the server list",
		server, got, want)
}

func textProtocolNotServed(server string, oldest, newest uint32) string {
	return fmt.Sprintf("server %s serves protocol versions %d to %d, this client speaks %s; upgrade one of them",
		server, oldest, newest, protocolVersion)
}

// textUnspecifiedAddress is story 2.
func textUnspecifiedAddress(endpoint, service, address string) string {
	return fmt.Sprintf("endpoint %q of %s: address %s cannot be dialled by others; "+
		"pass a reachable address or use AdvertiseFrom(listener)", endpoint, service, address)
}

func textField(subject, field, value, allowed string) string {
	return fmt.Sprintf("%s: %s %q is not allowed: %s", subject, field, value, allowed)
}

func textNoSpecs() string { return "registration: no instances; pass at least one InstanceSpec" }

func textTwice(key Key) string {
	return fmt.Sprintf("registration: instance %s occurs twice; give each its own id", key)
}

func textServerError(op, subject, server, message string) string {
	what := strings.TrimSpace(op + " " + subject)
	if server == "" {
		return what + ": " + message
	}
	return fmt.Sprintf("%s: server %s: %s", what, server, message)
}

func textCacheFailed(dir string, err error) string {
	return fmt.Sprintf("cache %s: %v; views are not kept on disk until that passes", dir, err)
}

func textCacheSetAside(dir, file, aside, why string) string {
	return fmt.Sprintf("cache %s: %s cannot be used (%s); set aside as %s", dir, file, why, aside)
}

func textOverridden(service ServiceName, instances []*Instance) string {
	return fmt.Sprintf("%s is overridden by %s; the registry is not asked for it", service, firstAddresses(instances))
}

func textNoRegistry(op, subject string) string {
	return fmt.Sprintf("%s: this client was given its instances and has no registry; make one by New", strings.TrimSpace(op+" "+subject))
}

func textNotGiven(service ServiceName) string {
	return fmt.Sprintf("service %q is not among those that this client was given", service.String())
}

func textTooFewGiven(selector string, have, want int) string {
	return fmt.Sprintf("%s has %d of %d wanted instances; they were given to this client and do not change", selector, have, want)
}

func textClosed(object string) string { return object + " is closed" }

func textWhyEnded(reason Reason) string {
	if reason == ReasonDeadline {
		return "the deadline passed"
	}
	return "the caller gave up"
}

func textGaveUp(op, subject string, reason Reason, last *Error) string {
	text := strings.TrimSpace(op+" "+subject) + ": " + textWhyEnded(reason)
	if last != nil {
		text += "; last: " + last.text()
	}
	return text
}

func textTooLate(op, subject string, last *Error) string {
	return strings.TrimSpace(op+" "+subject) + ": the deadline leaves no time to try again; last: " + last.text()
}

// textWithdrawn is story 4: what a Register that was given up leaves behind.
func textWithdrawn(subject, why string) string {
	return fmt.Sprintf("register %s: %s; nothing stays registered", subject, why)
}

// textServiceUnknown is story 7.
func textServiceUnknown(service ServiceName, at Position, similar []string) string {
	text := fmt.Sprintf("service %q has never been registered (epoch %d, revision %d)",
		service.String(), at.Epoch, at.Revision)
	if len(similar) > 0 {
		text += "; similar: " + strings.Join(similar, ", ")
	}
	return text
}

// textLastOneWent is story 8. ago is negative if the moment is unknown.
func textLastOneWent(service ServiceName, how string, ago time.Duration, id string, revision uint64) string {
	when := ""
	if ago >= 0 {
		when = " " + seconds(ago) + " ago"
	}
	return fmt.Sprintf("%s has no instances: the last one %s%s (%s, revision %d)", service, how, when, id, revision)
}

// textNoInstances is for a service that is empty for another reason than that
// its last instance went.
func textNoInstances(service ServiceName, why string) string {
	return fmt.Sprintf("%s has no instances: %s", service, why)
}

func textServiceForbidden(service ServiceName) string {
	return fmt.Sprintf("%s may not be seen with these credentials", service)
}

// textTooManySelectors is for a client that watches all that it can.
func textTooManySelectors(selector string, watched, streams, perStream int) string {
	return fmt.Sprintf("subscribe %s: %d selectors are watched already, and %d streams of %d are the most; "+
		"close subscriptions, or name several services in one selector", selector, watched, streams, perStream)
}

// textNoView is for a first view that did not come. last may be nil.
func textNoView(selector string, waited time.Duration, last *Error) string {
	because := ""
	if last != nil {
		because = " (last error: " + last.text() + ")"
	}
	return fmt.Sprintf("no view of %s within %s%s; still retrying", selector, seconds(waited), because)
}

func textNoViewYet(selector string) string { return fmt.Sprintf("no view of %s yet", selector) }

func textTooFew(selector string, have, want int, waited time.Duration) string {
	return fmt.Sprintf("%s has %d of %d wanted instances after %s; still watching", selector, have, want, seconds(waited))
}

// textDrained and textDrainBehind are story 11.
func textDrained(confirmed, all uint32, took time.Duration) string {
	return fmt.Sprintf("drained: %d/%d watchers confirmed in %s", confirmed, all, seconds(took))
}

func textDrainBehind(behind, all uint32, took time.Duration, names []string) string {
	text := fmt.Sprintf("%d of %d unconfirmed after %s", behind, all, seconds(took))
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	if int(behind) > len(names) {
		text += " …"
	}
	return text
}

// textLeaseExpired is story 12: a process that did not run past its TTL.
func textLeaseExpired(lease string, ago time.Duration, next string) string {
	return fmt.Sprintf("lease %s expired %s ago while this process was not running; re-registered as %s [%s]",
		shortLease(lease), seconds(ago), shortLease(next), ReasonLeaseExpired)
}

// textLeaseLost is for a lease that was lost for any other reason.
func textLeaseLost(lease, next string) string {
	return fmt.Sprintf("lease %s was lost; re-registered as %s [%s]",
		shortLease(lease), shortLease(next), ReasonLeaseUnknown)
}

func textLeaseGone(lease string) string {
	return fmt.Sprintf("lease %s was lost; registering again", shortLease(lease))
}

func textLostWhileDraining(lease string) string {
	return fmt.Sprintf("lease %s was lost while draining; not registered again", shortLease(lease))
}

// textFenced is story 13. Servers name the holder as far as they may.
func textFenced(metadata map[string]string) string {
	holder := "a newer lease"
	switch {
	case metadata["lease"] != "":
		holder = "lease " + shortLease(metadata["lease"])
	case metadata["incarnation"] != "":
		holder = "incarnation " + metadata["incarnation"]
	}
	if from := metadata["address"]; from != "" {
		holder += " from " + from
	}
	return fmt.Sprintf("fenced by %s; giving up", holder)
}

func textUnconfirmed(reason string, retry time.Duration) string {
	return fmt.Sprintf("the server cannot confirm the lease (%s); next try in %s", reason, seconds(retry))
}

// textBroken names what a stream was for, unless the error does so itself.
func textBroken(op string, err *Error) string {
	if err.Op == op {
		return err.text()
	}
	return op + ": " + err.text()
}

func textUnanswered(server string, after time.Duration) string {
	return fmt.Sprintf("server %s left a keepalive unanswered for %s", server, seconds(after))
}

func textQuietStream(server string, after time.Duration) string {
	return fmt.Sprintf("server %s sent no frame for %s", server, seconds(after))
}

func textEpochBehind(server string, got, want uint64) string {
	return fmt.Sprintf("server %s serves epoch %d, epoch %d was seen before", server, got, want)
}

func textViolation(server, what string) string {
	return fmt.Sprintf("server %s broke the protocol: %s", server, what)
}
