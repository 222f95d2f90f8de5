package main

import (
	"iter"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded"
)

// muster is the embedded store, used as the registry uses it: guards, revisions
// and all.
type muster struct{ store *embedded.Store }

// forgetful is an applier that keeps nothing.
type forgetful struct{}

func (forgetful) Restore(uint64, iter.Seq[*store.Entry]) error { return nil }
func (forgetful) Apply([]store.Commit)                         {}

func openMuster(dir string) (engine, error) {
	s, err := embedded.Open(embedded.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	return muster{s}, s.Start(forgetful{})
}

func (m muster) put(key string, value []byte) error {
	answer := make(chan error, 1)
	m.store.Propose(store.Mutation{
		Guards: []store.Guard{{Key: key}},
		Puts:   []store.Put{{Key: key, Value: value}},
	}, func(_ store.Outcome, err error) { answer <- err })
	return <-answer
}

func (m muster) close() error { return m.store.Close() }
