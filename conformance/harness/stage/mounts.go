package stage

import (
	"os"
	"runtime"
	"syscall"
)

// mountsMark is set in the environment of a process with mounts of its own.
const mountsMark = "CONFORMANCE_PRIVATE_MOUNTS"

// privateMounts tells whether PrivateMounts did what it is for.
var privateMounts bool

// PrivateMounts gives this process and its children mounts of their own: disks
// of scenarios are gone with the last of them, even if all were killed. For that
// it starts the program anew in its place. Where it is not permitted it does
// nothing, and CanMount is false.
func PrivateMounts() {
	if os.Getenv(mountsMark) != "" {
		privateMounts = os.Unsetenv(mountsMark) == nil
		return
	}
	if os.Geteuid() != 0 {
		return
	}
	// Only this thread gets other mounts; the new program begins with it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if syscall.Unshare(syscall.CLONE_NEWNS) != nil {
		return
	}
	if syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") == nil {
		_ = syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), mountsMark+"=yes"))
	}
}
