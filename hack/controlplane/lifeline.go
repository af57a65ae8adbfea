// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lifeline makes programs die with this process, however it dies. envtest starts them in process groups of their own, so
// neither an interrupt in the terminal nor the death of a test reaches them, and it leaves no way to ask the kernel for a
// signal on the parent's death. So each program is started through a few lines of shell that first start a watcher:
//
//	this process ──holds open for writing──▶ FIFO ──read by──▶ watcher ──kill -9──▶ program
//
// The end of this process closes the FIFO; no signal handler is involved. The watcher is in the program's process group,
// so that the signal that stops the program stops it too, and so that the program's process id is not given to
// somebody else while the watcher may still want to kill it.
type lifeline struct {
	dir  string
	fifo *os.File
	// remove is the folder that the watchers remove after the kill; empty for none.
	remove string
}

func newLifeline(dir, remove string) (*lifeline, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("lifeline: %w", err)
	}
	path := filepath.Join(dir, "lifeline")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("lifeline: %w", err)
	}
	// For reading too: to open a FIFO only for writing blocks until somebody reads.
	fifo, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("lifeline: %w", err)
	}
	return &lifeline{dir: dir, fifo: fifo, remove: remove}, nil
}

// cut kills every program that hangs on the lifeline, and lets none start any more.
func (l *lifeline) cut() {
	// Removed first: opening a FIFO that nobody writes to would block the launcher for ever.
	_ = os.Remove(l.fifo.Name())
	_ = l.fifo.Close()
}

// gcPercent is the GOGC of etcd and Kubernetes. A control plane with a small heap collects garbage several times a second, and
// each collection takes what a machine with few cores has: at Go's default of 100 it, and not what is tested, decides the
// slowest tenth of all times. This costs some hundred MiB.
const gcPercent = 400

// launcherTemplate starts a program and its watcher. envtest asks programs for --help before it starts them; there is
// nothing to watch then.
const launcherTemplate = `#!/bin/sh
if [ "$1" = --help ]; then exec %[1]s "$@"; fi
exec 9<%[2]s || exit 1
{
	read -r _ <&9
	kill -9 $$
	%[3]s
} >/dev/null 2>&1 &
exec 9<&-
echo $$ >%[5]s || exit 1
export GOGC=%[4]d
exec %[1]s "$@"
`

// launcher writes the script that starts the program, and returns its path. The script has to be started in a process
// group of its own.
func (l *lifeline) launcher(program string) (string, error) {
	cleanup := ":"
	if l.remove != "" {
		cleanup = "rm -rf " + shellQuote(l.remove)
	}
	script := fmt.Sprintf(launcherTemplate, shellQuote(program), shellQuote(l.fifo.Name()), cleanup, gcPercent, shellQuote(l.pidFile(program)))
	path := filepath.Join(l.dir, filepath.Base(program))
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		return "", fmt.Errorf("lifeline: %w", err)
	}
	return path, nil
}

// pidFile has the process id of the program: the launcher's, which becomes the program.
func (l *lifeline) pidFile(program string) string {
	return filepath.Join(l.dir, filepath.Base(program)+".pid")
}

// signal sends s to a program that runs. envtest has no way to.
func (l *lifeline) signal(program string, s syscall.Signal) error {
	data, err := os.ReadFile(l.pidFile(program))
	if err != nil {
		return fmt.Errorf("send %s: %w", s, err)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(data)))
	if err != nil {
		return fmt.Errorf("send %s: %w", s, err)
	}
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("send %s to %s: %w", s, filepath.Base(program), err)
	}
	return nil
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
