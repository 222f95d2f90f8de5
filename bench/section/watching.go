package section

// watching are the sections about watchers.
func watching() []Section {
	return []Section{
		{"fanout", "changes of one service to 1,000 and 5,000 watchers", Fanout},
		{"flood", "changes of one service faster than frames, 1,000 watchers", Flood},
		{"manywatch", "200 services on one stream, beside one", ManyWatch},
		{"streams", "50,000 streams over 1,000 services", Streams},
		{"slow", "1,000 watchers of which 100 stop reading", Slow},
		{"delivery", "from Register to the view of a Go and a Rust client, and picks", Delivery},
	}
}
