package config

import "time"

// settings are all there are, in the order in which people read them.
func settings() []setting {
	return append(general(), limits()...)
}

func general() []setting {
	return []setting{
		word(
			"listen", func(c *Config) *string { return &c.Listen }, "host:port",
			"host:port with a port from 0 to 65535, such as 127.0.0.1:7070; an empty host is every address",
			"address to serve gRPC on; port 0 takes any free one", validListen,
		),
		word(
			"data-dir", func(c *Config) *string { return &c.DataDir }, "directory",
			"the path of a directory",
			"directory of the store; made if missing, used by one server at a time", validPath,
		),
		duration(
			"shutdown-timeout", func(c *Config) *time.Duration { return &c.ShutdownTimeout },
			10*time.Millisecond, 10*time.Minute,
			"how long a stop waits for calls under way",
		),
		logLevel(),
		word(
			"log.format", func(c *Config) *string { return &c.LogFormat }, "format", "text or json",
			"form of the log on stderr", validFormat,
		),
		word(
			"pprof", func(c *Config) *string { return &c.Pprof }, "address",
			"off, or host:port where the host is localhost or a loopback address, such as 127.0.0.1:6060",
			"address that serves profiles of the server over HTTP", validPprof,
		),
		number(
			"history", func(c *Config) *int { return &c.History }, 1, 1<<26,
			"changes kept in memory, so that watchers that come back get only what they missed",
		),
	}
}

func limits() []setting {
	return []setting{
		number(
			"limits.subscriptions-per-stream", func(c *Config) *int { return &c.Limits.SubscriptionsPerStream },
			1, 100_000, "subscriptions on one watch stream",
		),
		number(
			"limits.services-per-selector", func(c *Config) *int { return &c.Limits.ServicesPerSelector },
			1, 100_000, "services that one selector names",
		),
		number(
			"limits.instances-per-lease", func(c *Config) *int { return &c.Limits.InstancesPerLease },
			1, 1_000, "instances that one call registers; above 40 they would not fit into etcd",
		),
		number(
			"limits.lookup-instances", func(c *Config) *int { return &c.Limits.LookupInstances },
			1, 1_000_000, "instances that one lookup answers",
		),
		number(
			"limits.request-bytes", func(c *Config) *int { return &c.Limits.RequestBytes },
			64<<10, 64<<20, "bytes of one request",
		),
		number(
			"limits.instance-bytes", func(c *Config) *int { return &c.Limits.InstanceBytes },
			1<<10, 512<<10, "bytes of one instance",
		),
		duration(
			"limits.min-ttl", func(c *Config) *time.Duration { return &c.Limits.MinTTL },
			time.Second, time.Hour, "shortest TTL of a lease",
		),
		duration(
			"limits.max-ttl", func(c *Config) *time.Duration { return &c.Limits.MaxTTL },
			time.Second, time.Hour, "longest TTL of a lease",
		),
		number(
			"limits.streams-per-connection", func(c *Config) *int { return &c.Limits.StreamsPerConnection },
			2, 100_000, "watch and keepalive streams of one connection",
		),
		number(
			"limits.leases-per-keepalive", func(c *Config) *int { return &c.Limits.LeasesPerKeepalive },
			1, 100_000, "leases in one keepalive request",
		),
	}
}

// related are conditions over several settings. Each names the setting whose
// value is called wrong.
var related = []struct {
	name    string
	broken  func(c *Config) bool
	allowed string
}{
	{
		"limits.max-ttl", func(c *Config) bool { return c.Limits.MaxTTL < c.Limits.MinTTL },
		"at least limits.min-ttl",
	},
	{
		"limits.request-bytes", func(c *Config) bool { return c.Limits.RequestBytes < c.Limits.InstanceBytes },
		"at least limits.instance-bytes",
	},
}
