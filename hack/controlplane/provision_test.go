// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/hack/build"
)

// built is what the fake go command is told, and writes into what it builds.
const built = "-ldflags"

// watchedLog is a progress writer that calls a function at the first line that has a text in it.
type watchedLog struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wants map[string]func()
}

func newWatchedLog() *watchedLog { return &watchedLog{wants: map[string]func(){}} }

func (l *watchedLog) on(text string, call func()) { l.wants[text] = call }

func (l *watchedLog) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for text, call := range l.wants {
		if bytes.Contains(data, []byte(text)) {
			delete(l.wants, text)
			call()
		}
	}
	return l.text.Write(data)
}

func (l *watchedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// fakeGo is a stand-in for the go command. It logs how it was called, names two packages, and makes an executable,
// incomplete until somebody writes to the gate, if there is one.
const fakeGo = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
while [ "$1" != -o ]; do shift; done
echo incomplete >"$2"
chmod +x "$2"
echo example.com/one >&2
echo example.com/two >&2
if [ -p "$here/gate" ]; then read -r _ <"$here/gate"; fi
if [ -f "$here/broken" ]; then echo "main.go:1:1: syntax error" >&2; exit 1; fi
out=$2; shift 2
echo "$*" >"$out"
`

// workshop is a folder with a fake go command, and with the binaries that it makes.
type workshop struct {
	t    *testing.T
	tool string
	bin  string
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{t: t, tool: t.TempDir(), bin: t.TempDir()}
	w.write(filepath.Join(w.tool, "go"), fakeGo)
	return w
}

func (w *workshop) write(path, text string) {
	w.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		w.t.Fatal(err)
	}
}

// gate makes builds wait; the function returned lets one go on.
func (w *workshop) gate() (open func()) {
	w.t.Helper()
	path := filepath.Join(w.tool, "gate")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		w.t.Fatal(err)
	}
	gate, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = gate.Close() })
	return func() { _, _ = gate.WriteString("\n") }
}

func (w *workshop) binaries() Binaries {
	return Binaries{Version: "v1.2.3", Dir: filepath.Join(w.bin, "k8s")}
}

// provision has the binaries made with the fake go command.
func (w *workshop) provision(ctx context.Context, log *watchedLog, heartbeat time.Duration) error {
	return w.binaries().provision(ctx, log, build.Spec{Module: w.tool, Go: filepath.Join(w.tool, "go"), Heartbeat: heartbeat})
}

// calls returns how the go command was called.
func (w *workshop) calls() []string {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.tool, "calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// receive fails the test rather than wait for ever.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(20 * time.Second):
		t.Fatal("nothing happened")
		panic("unreachable")
	}
}

func expectContent(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(got), want) {
		t.Errorf("%s: got %q (%v), want %q", path, got, err, want)
	}
}

func TestBuild(t *testing.T) {
	w := newWorkshop(t)
	log := newWatchedLog()
	w.write(w.binaries().Path(".kubernetes.partial"), "of a build that was killed")
	w.write(w.binaries().Path(etcdProgram), "of another source")
	if err := w.provision(t.Context(), log, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{etcdProgram, apiServerProgram, kubectlProgram, controllerProgram} {
		expectContent(t, w.binaries().Path(program), built)
	}
	for _, line := range []string{
		`Kubernetes v1.2.3 from Go modules; about 6 minutes the first time`,
		`Kubernetes v1.2.3: done in \d+\.\d s`,
	} {
		if !regexp.MustCompile(line).MatchString(log.String()) {
			t.Errorf("no line %q in:\n%s", line, log)
		}
	}
	if calls := w.calls(); !strings.Contains(calls[0], "gitVersion=v1.2.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=2") {
		t.Errorf("the version is not stamped: %s", calls[0])
	}

	if err := w.provision(t.Context(), log, time.Hour); err != nil {
		t.Fatal(err)
	}
	if calls := w.calls(); len(calls) != 1 {
		t.Errorf("what is there was made again: %q", calls)
	}
}

func TestTwoBuildsAtOnce(t *testing.T) {
	w := newWorkshop(t)
	open := w.gate()
	started, waiting := make(chan struct{}), make(chan struct{})
	first, second := newWatchedLog(), newWatchedLog()
	first.on("from Go modules", func() { close(started) })
	second.on("still waiting", func() { close(waiting) })
	results := make(chan error, 2)
	provision := func(log *watchedLog) { results <- w.provision(t.Context(), log, 10*time.Millisecond) }

	go provision(first)
	receive(t, started)
	go provision(second)
	receive(t, waiting)
	if _, err := os.Stat(w.binaries().Path(apiServerProgram)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the binary appeared before it was complete: %v", err)
	}
	open()
	if err := errors.Join(receive(t, results), receive(t, results)); err != nil {
		t.Fatal(err)
	}
	expectContent(t, w.binaries().Path(apiServerProgram), built)
	if calls := w.calls(); len(calls) != 1 {
		t.Errorf("got calls %q, want one build", calls)
	}
	if !strings.Contains(second.String(), "waiting for another process that is making Kubernetes v1.2.3") {
		t.Errorf("the second said:\n%s", second)
	}
}

func TestHeartbeat(t *testing.T) {
	w := newWorkshop(t)
	log := newWatchedLog()
	log.on("2 packages compiled", w.gate())
	if err := w.provision(t.Context(), log, time.Millisecond); err != nil {
		t.Fatal(err)
	}
}

func TestFailedBuild(t *testing.T) {
	w := newWorkshop(t)
	broken := filepath.Join(w.tool, "broken")
	w.write(broken, "")
	err := w.provision(t.Context(), newWatchedLog(), time.Hour)
	if err == nil || !strings.Contains(err.Error(), "main.go:1:1: syntax error") {
		t.Errorf("got %v, want what the compiler said", err)
	}
	if _, err := os.Stat(w.binaries().Path(controllerProgram)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a failed build left a binary: %v", err)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	if err := w.provision(t.Context(), newWatchedLog(), time.Hour); err != nil {
		t.Errorf("a later build: %v", err)
	}
}

func TestGivingUp(t *testing.T) {
	w := newWorkshop(t)
	w.gate() // Nobody opens it.
	enough := errors.New("enough")
	first, end := context.WithCancelCause(t.Context())
	second, endSecond := context.WithCancelCause(t.Context())
	log, secondLog := newWatchedLog(), newWatchedLog()
	started := make(chan struct{})
	log.on("from Go modules", func() { close(started) })
	secondLog.on("waiting for another process", func() { endSecond(enough) })

	building := make(chan error)
	go func() { building <- w.provision(first, log, time.Hour) }()
	receive(t, started)
	if err := w.provision(second, secondLog, time.Hour); !errors.Is(err, enough) {
		t.Errorf("while waiting: got %v", err)
	}
	end(enough)
	if err := receive(t, building); !errors.Is(err, enough) {
		t.Errorf("while building: got %v", err)
	}
}

func TestVersionIsRead(t *testing.T) {
	binaries, _, err := pinned()
	if err != nil || !regexp.MustCompile(`^v1\.\d+\.\d+$`).MatchString(binaries.Version) {
		t.Errorf("got %q, %v", binaries.Version, err)
	}
}
