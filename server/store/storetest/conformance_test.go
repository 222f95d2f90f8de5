package storetest_test

import (
	"testing"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/storetest"
)

func TestMemoryConforms(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return storetest.NewMemory() })
	storetest.RunRestart(t, func(*testing.T) func(*testing.T) store.Store {
		disk := storetest.NewDisk()
		return func(t *testing.T) store.Store {
			m, err := disk.Open()
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
	})
}
