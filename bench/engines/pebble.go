package main

import "github.com/cockroachdb/pebble/v2"

// peb is pebble, which has a group commit of its own.
type peb struct{ db *pebble.DB }

// quiet keeps pebble from reporting on standard error.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

func openPebble(dir string) (engine, error) {
	db, err := pebble.Open(dir, &pebble.Options{Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		return nil, err
	}
	return peb{db}, nil
}

func (p peb) put(key string, value []byte) error {
	return p.db.Set([]byte(key), value, pebble.Sync)
}

func (p peb) close() error { return p.db.Close() }
