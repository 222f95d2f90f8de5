package section

// watching are the sections about watchers.
func watching() []Section {
	return []Section{
		{"fanout", "changes of one service to 1,000 and 5,000 watchers", Fanout},
		{"flood", "changes of one service faster than frames, 1,000 watchers", Flood},
	}
}
