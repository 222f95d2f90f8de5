package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muster-registry/muster/bench/report"
)

// commit is what was measured; the build sets it.
var commit = "unknown"

// describe records where and what a run measures.
func describe(r *report.Report, reps int) {
	r.Fact("time", time.Now().UTC().Format(time.RFC3339))
	r.Fact("commit", commit)
	r.Fact("machine", machine())
	r.Fact("go", runtime.Version())
	r.Fact("load_average_before", firstLine("/proc/loadavg"))
	r.Set("reps", float64(reps))
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	for _, m := range build.Deps {
		switch m.Path {
		case "google.golang.org/grpc":
			r.Fact("grpc_go", m.Version)
		case "go.etcd.io/etcd/server/v3":
			r.Fact("etcd", m.Version)
		}
	}
}

// machine says what the run runs on: the processor, its cores, the memory and
// the kernel.
func machine() string {
	model := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
			if name, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var memory uint64
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		memory = info.Totalram * uint64(info.Unit) >> 30
	}
	return fmt.Sprintf("%s, %d cores, %d GiB, %s %s", model, runtime.NumCPU(), memory, runtime.GOOS, firstLine("/proc/sys/kernel/osrelease"))
}

func firstLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}
