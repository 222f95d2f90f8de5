package section

// lasting are the sections about what a server holds: how long it takes to
// start with it, what it costs, and how it ends. The first three share a
// server that takes long to fill, so they follow each other.
func lasting() []Section {
	return []Section{
		{"scaling", "cost per operation by instances held", Scaling},
		{"held", "memory of instances held, and the sweeper", Held},
		{"restart", "kill -9, exec to a complete lookup", Restart},
		{"expiry", "leases that lapse, the last TTL to the last removal", Expiry},
		{"start", "an empty server, exec to ready", Start},
	}
}
