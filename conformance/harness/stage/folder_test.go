package stage

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFoldersOfKilledHarnessesAreRemoved(t *testing.T) {
	parent := t.TempDir()
	folder := func(keep bool) string {
		dir, err := newFolder(parent, keep)
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	used, kept, left := folder(false), folder(true), folder(false)
	if err := held[len(held)-1].Close(); err != nil { // as when its harness is killed
		t.Fatal(err)
	}
	folder(false)
	for dir, want := range map[string]bool{used: true, kept: true, left: false} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", filepath.Base(dir), err == nil, want)
		}
	}
}
