// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/prometheus/procfs"
)

// load is how busy the machine was since startLoad: on one that does other work, or
// whose host does, times are those of the other work, too.
type load struct {
	fs     procfs.FS
	before procfs.CPUStat
}

// startLoad returns nil where the machine does not tell, as on all but Linux.
func startLoad() *load {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil
	}
	stat, err := fs.Stat()
	if err != nil {
		return nil
	}
	return &load{fs: fs, before: stat.CPUTotal}
}

// report says what the processors did.
func (l *load) report(notes io.Writer) {
	if l == nil {
		return
	}
	stat, err := l.fs.Stat()
	if err != nil {
		return
	}
	before, after := l.before, stat.CPUTotal
	idle := after.Idle + after.Iowait - before.Idle - before.Iowait
	// Stolen by the host: a process wanted to run and the hypervisor ran others.
	stolen := after.Steal - before.Steal
	busy := after.User + after.Nice + after.System + after.IRQ + after.SoftIRQ -
		before.User - before.Nice - before.System - before.IRQ - before.SoftIRQ
	if all := idle + stolen + busy; all > 0 {
		fmt.Fprintf(notes, "bench: %d CPUs were %.0f %% busy, %.0f %% idle, and %.0f %% stolen by the host\n",
			runtime.NumCPU(), 100*busy/all, 100*idle/all, 100*stolen/all)
	}
}
