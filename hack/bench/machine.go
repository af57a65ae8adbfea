// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"time"

	"github.com/prometheus/procfs"
)

// residentMemory is that of a process, in bytes. Only Linux tells.
func residentMemory(pid int) (int, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := process.Stat()
	return stat.ResidentMemory(), err
}

// noteProcessors returns what notes how busy the machine was since: on one that does
// other work, or whose host does, times are those of the other work, too. It notes
// nothing where the machine does not tell, as on all but Linux.
func noteProcessors() (done func()) {
	began := time.Now()
	before, err := processors()
	return func() {
		after, errAfter := processors()
		if err != nil || errAfter != nil {
			return
		}
		all := time.Since(began).Seconds() * float64(runtime.NumCPU()) / 100
		idle := (after.Idle + after.Iowait - before.Idle - before.Iowait) / all
		// Stolen by the host: a process wanted to run and the hypervisor ran others.
		stolen := (after.Steal - before.Steal) / all
		note("%d CPUs were %.0f %% busy, %.0f %% idle, and %.0f %% stolen by the host", runtime.NumCPU(), 100-idle-stolen, idle, stolen)
	}
}

func processors() (procfs.CPUStat, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return procfs.CPUStat{}, err
	}
	stat, err := fs.Stat()
	return stat.CPUTotal, err
}
