// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
)

// helperVariable has the test program be one that starts another, and waits to be killed.
const helperVariable = "PROCESS_TEST_HELPER"

func TestMain(m *testing.M) {
	if scratch := os.Getenv(helperVariable); scratch != "" {
		p := New("sleep", filepath.Dir(scratch), Launch{Path: "sleep", Args: []string{"1000"}, Scratch: scratch}, always)
		if err := p.Start(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		select {}
	}
	os.Exit(m.Run())
}

func always(context.Context) error { return nil }

func TestLifelineKillsWhatHangsOnIt(t *testing.T) {
	scratch := filepath.Join(t.TempDir(), "it's a folder")
	if err := os.Mkdir(scratch, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperVariable+"="+scratch)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the program does not run: %v", err)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	g := NewWithT(t)
	g.Eventually(func() bool { return ended(pid) }, "20s").Should(BeTrue(), "the program has ended")
	g.Eventually(scratch, "20s").ShouldNot(BeADirectory())
}

// A watcher that outlived its program would be one more process for each restart.
func TestWatchersEndWithTheirPrograms(t *testing.T) {
	for name, end := range map[string]func(*Process) error{
		"stop": func(p *Process) error { return p.Stop(t.Context()) },
		"kill": (*Process).Kill,
	} {
		p := New("sleep", t.TempDir(), Launch{Path: "sleep", Args: []string{"1000"}, DiesOfTerm: true}, always)
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		group := p.PID()
		if err := end(p); err != nil {
			t.Fatal(err)
		}
		NewWithT(t).Eventually(func() error { return syscall.Kill(-group, 0) }, "20s").Should(MatchError(syscall.ESRCH), name)
	}
}

// ended reports whether a process is gone, or is dead and its parent has not asked how.
func ended(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err != nil || strings.HasPrefix(string(state), "Z")
}
