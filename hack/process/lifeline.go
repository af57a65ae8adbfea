// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// pipe is one whose end for writing nobody else has: when this process dies, by SIGKILL, by
// an interrupt or by the timeout of go test, whoever reads from it learns of that. No
// signal handler is involved.
type pipe struct {
	reader *os.File
	// writer is never closed, and kept from being collected, which would close it.
	writer *os.File
}

var lifeline = sync.OnceValues(func() (p pipe, err error) {
	p.reader, p.writer, err = os.Pipe()
	return p, err
})

// launcher becomes the program, after it has started a watcher:
//
//	this process ──holds open for writing──▶ pipe ──read by──▶ watcher ──kill -9──▶ program
//
// The watcher is in the program's process group, so that the program's process ID is not
// given to somebody else while the watcher may still want to kill it.
const launcher = `
scratch=$1; shift
{ read -r _ <&3; kill -9 $$; [ -z "$scratch" ] || rm -rf "$scratch"; } >/dev/null 2>&1 &
exec 3<&-
exec "$@"
`

// onLifeline returns a command that does not outlive this process. It is in a process
// group of its own, so that an interrupt in the terminal reaches this process alone,
// which then ends everything in order.
func onLifeline(l Launch) (*exec.Cmd, error) {
	line, err := lifeline()
	if err != nil {
		return nil, err
	}
	program, err := exec.LookPath(l.Path)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", launcher, "launcher", l.Scratch, program}, l.Args...)...)
	cmd.Env = append(os.Environ(), l.Env...)
	cmd.ExtraFiles = []*os.File{line.reader}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, nil
}
