package embedded

import (
	"testing"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/storetest"
)

func TestConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return mustOpen(t, Options{Dir: t.TempDir()}) })
	storetest.RunRestart(t, func(t *testing.T) func(*testing.T) store.Store {
		o := Options{Dir: t.TempDir()}
		return func(t *testing.T) store.Store { return mustOpen(t, o) }
	})
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
