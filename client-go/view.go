package muster

import (
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// removalsKept is how many removals a view remembers, so that Updates can tell
// why instances left. The oldest are forgotten first.
const removalsKept = 1024

// tracesKept is how many traces of changes a view remembers, likewise.
const tracesKept = 256

// Source is where a view's content came from.
type Source int

// Where views come from.
const (
	// SourceRegistry: from a server, over the stream that is open now or by
	// the Lookup that returned the view.
	SourceRegistry Source = iota + 1
	// SourceMemory: nothing was received since the stream broke, or at all.
	SourceMemory
	// SourceDisk: from Config.CacheDir, where this process or one before it
	// left it; nothing was received yet.
	SourceDisk
	// SourceStatic: it was given to the client, by NewStatic or Config.Override.
	SourceStatic
)

var sourceNames = map[Source]string{SourceRegistry: "REGISTRY", SourceMemory: "MEMORY", SourceDisk: "DISK", SourceStatic: "STATIC"}

// String is the name, such as "REGISTRY".
func (s Source) String() string { return sourceNames[s] }

// View is the registry as one selector sees it, at exactly one revision. It is
// immutable, and so is all that it returns; a change makes a new View. Only its
// age grows.
type View struct {
	selector Selector
	config   *Config
	clock    clientClock

	// received is unset in the view before the first.
	received  bool
	timing    rules.Timing
	position  Position
	viewID    uint64
	digest    uint64
	count     uint64
	instances []*Instance
	services  []*ServiceState
	forbidden []ServiceName
	removals  []seenRemoval
	traces    []seenTrace

	recovering, isolated bool
	// unverified: taken although its digest did not match. distrusted: a later
	// update did not match; this is the last that did.
	unverified, distrusted bool
	source                 Source
	// snapshots were taken over so far; cause is why the last one was sent.
	snapshots uint64
	cause     SnapshotCause

	superseded chan struct{}
}

// seenRemoval is a removal and where in history it was seen.
type seenRemoval struct {
	Removal
	at Position
}

// seenTrace is a change's trace and the epoch of its revision.
type seenTrace struct {
	ChangeTrace
	epoch uint64
}

// clientClock counts milliseconds since the client was made; it never steps.
type clientClock struct{ began time.Time }

func (c clientClock) nowMs() int64 { return time.Since(c.began).Milliseconds() }

func newView(selector Selector, config *Config, clock clientClock) *View {
	return &View{selector: selector, config: config, clock: clock, source: SourceMemory, superseded: make(chan struct{})}
}

// Instances are sorted by namespace, service and id, as bytes.
func (v *View) Instances() []*Instance { return v.instances }

// InstancesOf are the instances of one service, sorted by id.
func (v *View) InstancesOf(service ServiceName) []*Instance {
	compare := func(i *Instance, s ServiceName) int { return compareServices(i.ServiceName(), s) }
	from, ok := slices.BinarySearchFunc(v.instances, service, compare)
	if !ok {
		return nil
	}
	to := from
	for to < len(v.instances) && v.instances[to].ServiceName() == service {
		to++
	}
	return v.instances[from:to]
}

// Instance finds one instance.
func (v *View) Instance(key Key) (*Instance, bool) { return findInstance(v.instances, key) }

func findInstance(sorted []*Instance, key Key) (*Instance, bool) {
	at, ok := slices.BinarySearchFunc(sorted, key, func(i *Instance, k Key) int { return compareKeys(i.Key, k) })
	if !ok {
		return nil, false
	}
	return sorted[at], true
}

// Services are what the registry remembers of the services, sorted by name.
func (v *View) Services() []*ServiceState { return v.services }

// Service is what the registry remembers of one service; nil if it was never
// registered.
func (v *View) Service(name ServiceName) *ServiceState {
	at, ok := slices.BinarySearchFunc(v.services, name, func(s *ServiceState, n ServiceName) int {
		return compareServices(s.ServiceName, n)
	})
	if !ok {
		return nil
	}
	return v.services[at]
}

// Forbidden are the services of the selector that these credentials may not see.
func (v *View) Forbidden() []ServiceName { return v.forbidden }

// Selector is what the view is of.
func (v *View) Selector() Selector { return v.selector.clone() }

// Position is where in history the view is; zero before the first.
func (v *View) Position() Position { return v.position }

// Epoch is the history that the view is of.
func (v *View) Epoch() uint64 { return v.position.Epoch }

// Revision is where in its history the view is.
func (v *View) Revision() uint64 { return v.position.Revision }

// Digest verified the view.
func (v *View) Digest() uint64 { return v.digest }

// Source is where the content came from.
func (v *View) Source() Source { return v.source }

// Unverified tells whether the view was taken although its digest did not
// match, three times in a row. It is retried.
func (v *View) Unverified() bool { return v.unverified }

// Received tells whether anything was received at all. Until then the view is
// empty.
func (v *View) Received() bool { return v.received }

// Recovering tells whether the registry lost history and its instances are
// coming back.
func (v *View) Recovering() bool { return v.recovering }

// Isolated tells whether the server that sent it cannot reach its store.
func (v *View) Isolated() bool { return v.isolated }

// Superseded is closed when there is a newer view, or the subscription ended.
func (v *View) Superseded() <-chan struct{} { return v.superseded }

// Age is how old the view's data is; 0 for the view before the first, and for
// what was given to the client.
func (v *View) Age() time.Duration {
	if !v.received || v.source == SourceStatic {
		return 0
	}
	return time.Duration(v.timing.AgeMs(v.clock.nowMs())) * time.Millisecond
}

// Freshness is how far the view can be trusted to be current, now.
func (v *View) Freshness() Freshness {
	if !v.received {
		return Expired
	}
	f, _ := v.config.freshnessOf(v.Age(), v.distrusted || v.unverified)
	return f
}

// freshnessEnds is how long until Freshness changes by time alone; negative if
// it never does.
func (v *View) freshnessEnds() time.Duration {
	if !v.received || v.source == SourceStatic {
		return -1
	}
	_, ends := v.config.freshnessOf(v.Age(), v.distrusted || v.unverified)
	return ends
}

// Intent is what the view is meant to be: Present, or why it is empty.
func (v *View) Intent() Intent {
	switch {
	case !v.received:
		return NotYet
	case len(v.instances) > 0:
		return Present
	case v.selector.Prefix != nil && len(v.services) == 0 && v.recovering:
		return Recovering
	}
	var intents []Intent
	for _, name := range v.names() {
		intents = append(intents, v.IntentOf(name))
	}
	return overallIntent(intents)
}

// IntentOf is what one service of the view is meant to be.
func (v *View) IntentOf(service ServiceName) Intent {
	if !v.received {
		return NotYet
	}
	return intentOf(serviceFacts{
		forbidden:   slices.Contains(v.forbidden, service),
		present:     len(v.InstancesOf(service)) > 0,
		recovering:  v.recovering,
		state:       v.Service(service),
		filtered:    v.selector.Filter.isSet(),
		lastRemoval: v.lastRemoval(service).Reason,
	})
}

// Why is the error of a service without instances: SERVICE_UNKNOWN,
// NO_INSTANCES, FORBIDDEN or NO_VIEW, saying how it came to that. It is nil if
// the service has instances.
func (v *View) Why(service ServiceName) error { return v.why(service).orNil() }

func (v *View) why(service ServiceName) *Error {
	empty := func(message string) *Error { return noInstancesError(service.String(), message) }
	state := v.Service(service)
	switch intent := v.IntentOf(service); intent {
	case Present:
		return nil
	case NotYet:
		return newError(ReasonNoView, codes.Unavailable, "pick", service.String(), textNoViewYet(service.String()))
	case NeverSeen:
		if v.source == SourceStatic {
			return newError(ReasonServiceUnknown, codes.NotFound, "pick", service.String(), textNotGiven(service))
		}
		return newError(ReasonServiceUnknown, codes.NotFound, "pick", service.String(),
			textServiceUnknown(service, v.position, nil))
	case Forbidden:
		return newError(ReasonForbidden, codes.PermissionDenied, "pick", service.String(), textServiceForbidden(service))
	case Recovering:
		return empty(textNoInstances(service, "the registry lost history and its instances are coming back"))
	case Held:
		return empty(textNoInstances(service, "the registry holds back the expiry of instances that are overdue"))
	case FilteredToNone:
		return empty(textNoInstances(service, "none of them passes the selector's filter"))
	default:
		return empty(v.textLast(service, state, intent))
	}
}

// textLast tells of the last instance, from what the registry remembers or the
// view saw.
func (v *View) textLast(service ServiceName, state *ServiceState, intent Intent) string {
	how := "expired"
	if intent == AllDeregistered {
		how = "deregistered"
	}
	if e := state.Emptied; e != nil {
		ago := time.Duration(-1)
		if !e.Time.IsZero() {
			ago = max(time.Since(e.Time), 0)
		}
		return textLastOneWent(service, how, ago, e.InstanceID, e.Revision)
	}
	last := v.lastRemoval(service)
	if last.Reason == 0 {
		return textNoInstances(service, "the last one went a moment ago")
	}
	return textLastOneWent(service, how, -1, last.Key.ID, last.at.Revision)
}

// names are the services that the view tells of.
func (v *View) names() []ServiceName {
	if v.selector.Prefix == nil {
		return v.selector.Services
	}
	names := make([]ServiceName, len(v.services))
	for i, s := range v.services {
		names[i] = s.ServiceName
	}
	return names
}

// lastRemoval is the last one of a service that the view saw in its epoch.
func (v *View) lastRemoval(service ServiceName) seenRemoval {
	for _, r := range slices.Backward(v.removals) {
		if r.Key.ServiceName() == service && r.at.Epoch == v.position.Epoch {
			return r
		}
	}
	return seenRemoval{}
}

// remember appends removals to a log that older views share: they see only
// their own part of it, and only the newest view is ever appended to.
func remember(log []seenRemoval, gone []Removal, at Position) []seenRemoval {
	if len(log) >= 2*removalsKept {
		log = slices.Clone(log[len(log)-removalsKept:])
	}
	for _, g := range gone {
		log = append(log, seenRemoval{g, at})
	}
	return log
}

// rememberTraces is remember for the traces of changes.
func rememberTraces(log []seenTrace, traces []ChangeTrace, at Position) []seenTrace {
	if len(log) >= 2*tracesKept {
		log = slices.Clone(log[len(log)-tracesKept:])
	}
	for _, t := range traces[:min(len(traces), tracesKept)] {
		log = append(log, seenTrace{t, at.Epoch})
	}
	return log
}

// tracesAfter are the traces of changes that came after a position.
func (v *View) tracesAfter(at Position) []ChangeTrace {
	var traces []ChangeTrace
	for _, t := range v.traces {
		if t.epoch == v.position.Epoch && (t.epoch != at.Epoch || t.Revision > at.Revision) {
			traces = append(traces, t.ChangeTrace)
		}
	}
	return traces
}
