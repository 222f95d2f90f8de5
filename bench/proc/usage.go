package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the user and system time that all threads of the child have used, to
// the nanosecond: the sum that /proc/PID/stat shows in steps of 10 ms.
func (p *Process) CPU() (time.Duration, error) {
	// The kernel's number of the CPU clock of another process
	// (clock_getcpuclockid): the inverted pid and the kind of clock.
	const scheduler, kindBits = 2, 3
	clock := int32(^p.PID()<<kindBits | scheduler)
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", p.PID(), err)
	}
	return time.Duration(t.Nano()), nil
}

// RSS is the memory of the child that is resident now, in bytes.
func (p *Process) RSS() (int64, error) { return p.status("VmRSS:") }

// PeakRSS is the most that was ever resident, in bytes.
func (p *Process) PeakRSS() (int64, error) { return p.status("VmHWM:") }

func (p *Process) status(name string) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", p.PID(), err)
	}
	for line := range bytes.Lines(data) {
		rest, found := bytes.CutPrefix(line, []byte(name))
		if !found {
			continue
		}
		kib, err := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the memory of process %d: %w", p.PID(), err)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("read the memory of process %d: /proc says nothing of %s", p.PID(), name)
}
