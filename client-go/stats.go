package muster

import "sync/atomic"

// counters are what Stats reports.
type counters struct {
	digestMismatches  atomic.Uint64
	unverifiedViews   atomic.Uint64
	epochRegressions  atomic.Uint64
	historiesLost     atomic.Uint64
	watchStreams      atomic.Uint64
	keepaliveStreams  atomic.Uint64
	reregistrations   atomic.Uint64
	unconfirmedLeases atomic.Uint64
}

// Stats are counts since the client was made. Every one but WatchStreams and
// KeepaliveStreams is 0 in a healthy fleet.
type Stats struct {
	// DigestMismatches are updates whose digest or count did not match.
	DigestMismatches uint64
	// UnverifiedViews are snapshots that were accepted although they mismatched.
	UnverifiedViews uint64
	// EpochRegressions are times when a lower epoch had to be accepted.
	EpochRegressions uint64
	// HistoriesLost are snapshots because history was lost within an epoch.
	HistoriesLost uint64
	// WatchStreams that were opened.
	WatchStreams uint64
	// KeepaliveStreams that were opened.
	KeepaliveStreams uint64
	// Reregistrations after a lost lease.
	Reregistrations uint64
	// UnconfirmedLeases are keepalives answered without confirmation.
	UnconfirmedLeases uint64
}

// Stats returns the counts.
func (c *Client) Stats() Stats {
	return Stats{
		DigestMismatches:  c.stats.digestMismatches.Load(),
		UnverifiedViews:   c.stats.unverifiedViews.Load(),
		EpochRegressions:  c.stats.epochRegressions.Load(),
		HistoriesLost:     c.stats.historiesLost.Load(),
		WatchStreams:      c.stats.watchStreams.Load(),
		KeepaliveStreams:  c.stats.keepaliveStreams.Load(),
		Reregistrations:   c.stats.reregistrations.Load(),
		UnconfirmedLeases: c.stats.unconfirmedLeases.Load(),
	}
}
