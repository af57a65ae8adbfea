// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"regexp"
	"strconv"
)

// muchMemory is from how much memory on, in KiB, compilers may use twice as much of it.
const muchMemory = 7 << 20

// Environment is what programs are built with, as the Makefile does: static, and without
// a workspace of the developer's, whose versions would replace the pinned ones. Where
// there is memory for it, the compiler collects garbage less often, which takes a quarter
// of its work away.
func Environment() []string {
	env := []string{"CGO_ENABLED=0", "GOWORK=off"}
	if memory() >= muchMemory {
		env = append(env, "GOGC=400")
	}
	return env
}

// memory is the machine's, in KiB; 0 where that is not known.
func memory() int {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	total := regexp.MustCompile(`(?m)^MemTotal:\s+(\d+) kB$`).FindSubmatch(data)
	if total == nil {
		return 0
	}
	size, _ := strconv.Atoi(string(total[1]))
	return size
}
