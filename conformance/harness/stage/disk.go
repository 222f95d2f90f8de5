package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

const (
	// diskSize is the size of a disk as mount takes it.
	diskSize = "64k"
	// filler is the file that fills a disk.
	filler = "filler"
)

// CanMount tells whether this process may mount disks, and has mounts of its
// own: root often may, and not in every container.
func CanMount() bool {
	if !privateMounts {
		return false
	}
	dir, err := os.MkdirTemp("", "disk-")
	if err != nil {
		return false
	}
	err = mount(context.Background(), dir)
	if err == nil {
		err = unmount(dir)
	}
	return errors.Join(err, os.Remove(dir)) == nil
}

// FillDisk mounts a small disk at a folder of the stage, and leaves no room on
// it but for names. It goes with the stage, at the latest with the harness.
func (s *Stage) FillDisk(ctx context.Context, folder string) error {
	dir := folder
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.Dir, dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := mount(ctx, dir); err != nil {
		return err
	}
	s.disks = append(s.disks, dir)
	f, err := os.Create(filepath.Join(dir, filler))
	if err != nil {
		return err
	}
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// removeDisks unmounts all disks, even those that are in use. What cannot be
// unmounted stays, and the folder cannot be removed then.
func (s *Stage) removeDisks() {
	for _, dir := range s.disks {
		_ = unmount(dir)
	}
	s.disks = nil
}

func mount(ctx context.Context, dir string) error {
	return quietly(exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", "size="+diskSize, "tmpfs", dir))
}

// unmount has no context: it is also done when everything was given up.
func unmount(dir string) error {
	return quietly(exec.Command("umount", "-l", dir)) //nolint:noctx // see above
}

// quietly runs a command and tells what it said only if it failed.
func quietly(c *exec.Cmd) error {
	said, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", c, err, bytes.TrimSpace(said))
	}
	return nil
}
