// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import "github.com/prometheus/procfs"

// muchMemory is from how much memory on, in KiB, compilers may use twice as much of it.
const muchMemory = 7 << 20

// environment is what programs are built with, as the Makefile does: static, and without
// a workspace of the developer's, whose versions would replace the pinned ones. Where
// there is memory for it, the compiler collects garbage less often, which takes a quarter
// of its work away.
func environment() []string {
	env := []string{"CGO_ENABLED=0", "GOWORK=off"}
	if memory() >= muchMemory {
		env = append(env, "GOGC=400")
	}
	return env
}

// memory is the machine's, in KiB; 0 where that is not known, as on all but Linux.
func memory() uint64 {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	info, err := proc.Meminfo()
	if err != nil || info.MemTotal == nil {
		return 0
	}
	return *info.MemTotal
}
