package report

// Target is what a figure is to be.
type Target struct {
	// Key is the figure's.
	Key string
	// Section and What are for people.
	Section, What string
	// Unit is that of the figure; "x" is a ratio.
	Unit string
	// AtMost tells that the figure should not exceed the value; else it should
	// reach it.
	AtMost bool
	// Value is the target. If Of is set, it is that other figure instead.
	Value float64
	Of    string
}

// Targets are all targets, in the order in which they are shown.
func Targets() []Target {
	var all []Target
	for _, group := range [][]Target{callTargets(), watchTargets(), sizeTargets()} {
		all = append(all, group...)
	}
	return all
}

func callTargets() []Target {
	return []Target{
		{Key: "register_c64_vs_limit", Section: "register", What: "Register, 64 workers, beside a bare unary call", Unit: "x", Value: 0.8},
		{Key: "register_c64_vs_etcd", Section: "register", What: "the same beside etcd", Unit: "x", Value: 5},
		{Key: "register_batch_per_s", Section: "batch", What: "Register, 100 instances a call", Unit: "/s", Value: 150_000},
		{Key: "register_c1_p50_us", Section: "oneworker", What: "Register, one worker, p50 (limit + 1.5 fdatasync)", Unit: "us", AtMost: true, Of: "register_c1_budget_us"},
		{Key: "keepalive_vs_limit", Section: "keepalive", What: "keepalives, one lease a message, beside a bare stream", Unit: "x", Value: 0.9},
		{Key: "keepalive_cpu_vs_limit", Section: "keepalive", What: "server CPU per keepalive, beside a bare stream", Unit: "x", AtMost: true, Value: 1.3},
		{Key: "keepalive_batched_vs_etcd", Section: "keepalive", What: "renewals, 256 leases a message, beside etcd", Unit: "x", Value: 35},
		{Key: "lookup_n10_vs_limit", Section: "lookup", What: "Lookup of 10, beside an echo of the same bytes", Unit: "x", Value: 0.9},
		{Key: "lookup_n1000_vs_limit", Section: "lookup", What: "Lookup of 1,000, beside an echo of the same bytes", Unit: "x", Value: 0.9},
		{Key: "lookup_n1000_vs_etcd", Section: "lookup", What: "the same beside etcd", Unit: "x", Value: 5},
		{Key: "lookup_unchanged_vs_limit", Section: "lookup", What: "Lookup, unchanged since known, beside the smallest call", Unit: "x", Value: 0.9},
	}
}

func watchTargets() []Target {
	return []Target{
		{Key: "fanout_w1000_vs_limit", Section: "fanout", What: "deliveries to 1,000 watchers, beside a goroutine a stream", Unit: "x", Value: 1.2},
		{Key: "fanout_w1000_vs_direct", Section: "fanout", What: "the same beside sends from shards", Unit: "x", Value: 0.95},
		{Key: "fanout_w5000_vs_limit", Section: "fanout", What: "deliveries to 5,000 watchers, beside a goroutine a stream", Unit: "x", Value: 1.2},
		{Key: "fanout_w5000_vs_direct", Section: "fanout", What: "the same beside sends from shards", Unit: "x", Value: 0.95},
		{Key: "fanout_cpu_vs_direct", Section: "fanout", What: "server CPU per delivery, beside sends from shards", Unit: "x", AtMost: true, Value: 1.1},
		{Key: "fanout_p99_vs_limit", Section: "fanout", What: "p99 from write to callback, beside a goroutine a stream", Unit: "x", AtMost: true, Value: 1.25},
		{Key: "fanout_w1000_coalesced_vs_limit", Section: "flood", What: "changes delivered in a flood, beside message by message", Unit: "x", Value: 5},
		{Key: "flood_lag_ms", Section: "flood", What: "age of the oldest change when its frame is encoded", Unit: "ms", AtMost: true, Value: 50},
		{Key: "manywatch_kb", Section: "manywatch", What: "server memory per further service on a stream", Unit: "KiB", AtMost: true, Value: 2},
		{Key: "streams_2000_p99_ms", Section: "streams", What: "50,000 streams, 2,000 changes/s, p99 to receipt", Unit: "ms", AtMost: true, Value: 250},
		{Key: "streams_10000_p99_ms", Section: "streams", What: "50,000 streams, 10,000 changes/s, p99 to receipt", Unit: "ms", AtMost: true, Value: 1000},
		{Key: "watcher_kb", Section: "streams", What: "memory of an idle watcher beyond a bare stream", Unit: "KiB", AtMost: true, Value: 2},
		{Key: "slow_p99_ratio", Section: "slow", What: "p99 of the others when a tenth stops reading", Unit: "x", AtMost: true, Value: 1.1},
	}
}

func sizeTargets() []Target {
	return []Target{
		{Key: "lease_bytes", Section: "held", What: "memory per held instance beyond its stored record", Unit: "B", AtMost: true, Value: 600},
		{Key: "sweeper_cpu_percent", Section: "held", What: "CPU of the sweeper, of one core", Unit: "%", AtMost: true, Value: 2},
		{Key: "expiry_1000_last_ms", Section: "expiry", What: "last of 1,000 removals seen after the TTL", Unit: "ms", AtMost: true, Value: 100},
		{Key: "expiry_100k_last_ms", Section: "expiry", What: "last of 100,000 removals seen after the TTL", Unit: "ms", AtMost: true, Value: 500},
		{Key: "expiry_lookup_p99_ratio", Section: "expiry", What: "p99 of lookups meanwhile", Unit: "x", AtMost: true, Value: 2},
		{Key: "restart_10k_s", Section: "restart", What: "kill -9, exec to a complete lookup, 10,000 instances", Unit: "s", AtMost: true, Value: 0.06},
		{Key: "restart_100k_s", Section: "restart", What: "the same, 100,000", Unit: "s", AtMost: true, Value: 0.25},
		{Key: "restart_1m_s", Section: "restart", What: "the same, 1,000,000", Unit: "s", AtMost: true, Value: 2.5},
		{Key: "scaling_register", Section: "scaling", What: "cost of Register at the largest size, beside 1,000", Unit: "x", AtMost: true, Value: 1.5},
		{Key: "scaling_keepalive", Section: "scaling", What: "the same of KeepAlive", Unit: "x", AtMost: true, Value: 1.5},
		{Key: "scaling_lookup", Section: "scaling", What: "the same of Lookup", Unit: "x", AtMost: true, Value: 1.5},
		{Key: "scaling_fanout", Section: "scaling", What: "the same of a delivery", Unit: "x", AtMost: true, Value: 1.5},
		{Key: "start_ms", Section: "start", What: "empty server, exec to ready", Unit: "ms", AtMost: true, Value: 50},
		{Key: "binary_mb", Section: "start", What: "size of the program", Unit: "MB", AtMost: true, Value: 60},
	}
}

// Verdict is what became of a target.
type Verdict struct {
	Target
	// Measured tells whether the run has the figure, and what it is compared with.
	Measured bool
	// Figure is what was measured; Goal is what it is compared with.
	Figure, Goal float64
	// Met tells whether the target is met.
	Met bool
}

// Verdicts compares the figures with all targets.
func (r *Report) Verdicts() []Verdict {
	figures := r.Figures()
	var all []Verdict
	for _, t := range Targets() {
		v := Verdict{Target: t, Goal: t.Value}
		v.Figure, v.Measured = figures[t.Key]
		if t.Of != "" {
			goal, ok := figures[t.Of]
			v.Goal, v.Measured = goal, v.Measured && ok
		}
		v.Met = v.Measured && (t.AtMost && v.Figure <= v.Goal || !t.AtMost && v.Figure >= v.Goal)
		all = append(all, v)
	}
	return all
}
