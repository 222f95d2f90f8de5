package validate

import (
	"strconv"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// DefaultPageSize is the size of a page if none is given.
	DefaultPageSize = 100
	// MaxPageSize is the greatest size of a page.
	MaxPageSize = 1_000
	// maxStreamIDBytes bounds a stream_id; those that servers make are shorter.
	maxStreamIDBytes = 128
	// maxPageTokenBytes bounds a page_token; those that servers make are shorter.
	maxPageTokenBytes = 1_024
	// maxOutcomes bounds the instances of one ReportOutcomes.
	maxOutcomes = 10_000
)

// PageSize is the size of page that an accepted list request asks for.
func PageSize(n int32) int {
	if n == 0 {
		return DefaultPageSize
	}
	return int(n)
}

// Lookup checks a LookupRequest.
func (v *Validator) Lookup(request *musterv1.LookupRequest) error {
	var r report
	at := field(nil, "selector")
	v.selector(&r, &at, request.GetSelector())
	if p := request.GetMinPosition(); p != nil && p.GetEpoch() == 0 {
		r.refuse(nil, "min_position.epoch", "0", "must be the epoch of the revision; revisions of different epochs do not compare")
	}
	switch c := request.GetConsistency(); c {
	case musterv1.Consistency_CONSISTENCY_UNSPECIFIED, musterv1.Consistency_CONSISTENCY_VIEW:
	case musterv1.Consistency_CONSISTENCY_LINEARIZABLE:
		if !v.served[FeatureLinearizable] {
			r.notServed(nil, "consistency", FeatureLinearizable)
		}
	default:
		r.refuse(nil, "consistency", c.String(), "must be VIEW or LINEARIZABLE")
	}
	return r.err()
}

// ListServices checks a ListServicesRequest but for what its page_token means.
func (v *Validator) ListServices(request *musterv1.ListServicesRequest) error {
	var r report
	if n := request.GetNamespace(); n != "" {
		r.checkSyntax(nil, "namespace", n, &namespaceSyntax)
	}
	if p := request.GetPrefix(); !servicePrefix(p) {
		r.refuse(nil, "prefix", p, "must be the beginning of a service name, which "+serviceSyntax.rule)
	}
	checkPage(&r, request.GetPageSize(), request.GetPageToken())
	return r.err()
}

func checkPage(r *report, size int32, token string) {
	if size < 0 || size > MaxPageSize {
		r.refuse(nil, "page_size", strconv.Itoa(int(size)), "must be 1 to 1000; leave it unset for 100")
	}
	if len(token) > maxPageTokenBytes {
		r.refuse(nil, "page_token", token, "must be the next_page_token of the answer before, or empty")
	}
}

// Watch checks a WatchRequest.
func (v *Validator) Watch(request *musterv1.WatchRequest) error {
	var r report
	if len(request.GetSubscriptions()) == 0 {
		r.refuse(nil, "subscriptions", "", "must hold at least one subscription")
	}
	v.checkSubscriptions(&r, "subscriptions", request.GetSubscriptions())
	return r.err()
}

// UpdateWatch checks an UpdateWatchRequest. Whether the stream then holds too
// many subscriptions, or one id twice, only the stream's owner can tell.
func (v *Validator) UpdateWatch(request *musterv1.UpdateWatchRequest) error {
	var r report
	checkStreamID(&r, request.GetStreamId())
	v.checkSubscriptions(&r, "add", request.GetAdd())
	return r.err()
}

func (v *Validator) checkSubscriptions(r *report, name string, subscriptions []*musterv1.Subscription) {
	if len(subscriptions) > v.limits.SubscriptionsPerStream {
		r.exceed(nil, name, "subscriptions_per_stream", v.limits.SubscriptionsPerStream, len(subscriptions))
		return
	}
	seen := make(map[uint32]bool, len(subscriptions))
	for i, s := range subscriptions {
		at := element(nil, name, i)
		if seen[s.GetSubscriptionId()] {
			r.refuse(&at, "subscription_id", strconv.FormatUint(uint64(s.GetSubscriptionId()), 10),
				"is that of an earlier subscription too; ids must be unique on the stream")
		}
		seen[s.GetSubscriptionId()] = true
		in := field(&at, "selector")
		v.selector(r, &in, s.GetSelector())
	}
}

func checkStreamID(r *report, id string) {
	if id == "" || len(id) > maxStreamIDBytes {
		r.refuse(nil, "stream_id", id, "must be the stream_id that Opened gave")
	}
}

// AckWatch checks an AckWatchRequest.
func (v *Validator) AckWatch(request *musterv1.AckWatchRequest) error {
	var r report
	checkStreamID(&r, request.GetStreamId())
	if request.GetEpoch() == 0 {
		r.refuse(nil, "epoch", "0", "must be the epoch of the revision")
	}
	if n := len(request.GetViewIds()); n > v.limits.SubscriptionsPerStream {
		r.exceed(nil, "view_ids", "subscriptions_per_stream", v.limits.SubscriptionsPerStream, n)
	}
	return r.err()
}

// ReportOutcomes checks a ReportOutcomesRequest.
func (v *Validator) ReportOutcomes(request *musterv1.ReportOutcomesRequest) error {
	var r report
	if !v.served[FeatureReportOutcomes] {
		r.notServed(nil, "outcomes", FeatureReportOutcomes)
		return r.err()
	}
	if n := len(request.GetOutcomes()); n > maxOutcomes {
		r.refuse(nil, "outcomes", strconv.Itoa(n), "is their number, which must be at most 10000; send several reports")
		return r.err()
	}
	for i, o := range request.GetOutcomes() {
		at := element(nil, "outcomes", i)
		key := field(&at, "key")
		checkKey(&r, &key, o.GetKey().GetNamespace(), o.GetKey().GetService(), o.GetKey().GetInstanceId(), true)
	}
	return r.err()
}
