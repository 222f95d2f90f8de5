package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of CPU time in /proc, 1/100 s on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// CPU is the user and system time that the child has used, in steps of 10 ms.
func (p *Process) CPU() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", p.PID(), err)
	}
	// The name in brackets may hold spaces; the fields after it count from 3.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0, fmt.Errorf("read the CPU time of process %d: /proc gives %d fields", p.PID(), len(fields))
	}
	user, err := strconv.ParseInt(string(fields[utime]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", p.PID(), err)
	}
	system, err := strconv.ParseInt(string(fields[stime]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", p.PID(), err)
	}
	return time.Duration(user+system) * clockTick, nil
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
