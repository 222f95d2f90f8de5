package play

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/muster-registry/muster/conformance/harness/scenario"
)

// file does something to files of the stage's folder. A pattern such as
// cache/* means all files that fit; at least one must.
func (p *player) file(args []string, s *scenario.Step) error {
	pattern := args[1]
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(p.stage.Dir, pattern)
	}
	if args[0] == "write" {
		if err := os.MkdirAll(filepath.Dir(pattern), 0o755); err != nil {
			return err
		}
		return os.WriteFile(pattern, []byte(args[2]), 0o644)
	}
	if args[0] == "exists" {
		return p.until(s, func(context.Context) (string, error) {
			paths, err := filepath.Glob(pattern)
			if len(paths) == 0 {
				return "no file fits " + args[1], err
			}
			return "", err
		})
	}
	paths, err := filepath.Glob(pattern)
	switch {
	case err != nil:
		return err
	case args[0] == "missing" && len(paths) > 0:
		return fmt.Errorf("there is %s", paths)
	case args[0] == "missing":
		return nil
	case len(paths) == 0:
		return fmt.Errorf("no file fits %s", args[1])
	}
	for _, path := range paths {
		err = errors.Join(err, alterFile(path, args))
	}
	return err
}

func alterFile(path string, args []string) error {
	switch how := args[0]; how {
	case "remove":
		return os.RemoveAll(path)
	case "corrupt", "truncate":
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if how == "truncate" {
			text = text[:len(text)/2]
		} else if len(text) > 0 {
			text[len(text)/2] ^= 0x55
		}
		return os.WriteFile(path, text, 0o644)
	case "shift-written":
		by, err := time.ParseDuration(args[2])
		if err != nil {
			return err
		}
		return shiftWritten(path, by)
	}
	return nil
}
