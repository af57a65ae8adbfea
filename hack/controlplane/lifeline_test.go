// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestLifelineKillsWhatHangsOnIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's a folder")
	line, err := newLifeline(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer line.cut()
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	launcher, err := line.launcher(cat)
	if err != nil {
		t.Fatal(err)
	}

	cmd := exec.Command(launcher)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// cat answers: so it runs, and its watcher is there.
	if _, err := stdin.Write([]byte("ping\n")); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || answer != "ping\n" {
		t.Fatalf("got %q, %v", answer, err)
	}

	line.cut()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var exit *exec.ExitError
	if err := receive(t, ended); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("got %v, want the end by SIGKILL", err)
	}
	if err := exec.Command(launcher).Run(); err == nil {
		t.Error("a program was started after the lifeline was cut")
	}
}

var _ = Describe("a control plane whose process is killed", func() {
	It("dies, and its temporary folder goes away", func(ctx SpecContext) {
		executable, err := os.Executable()
		Expect(err).NotTo(HaveOccurred())
		cmd := exec.CommandContext(ctx, executable)
		cmd.Env = append(os.Environ(), helperVariable+"=1", "TMPDIR="+GinkgoT().TempDir())
		cmd.Stderr = GinkgoWriter
		stdout, err := cmd.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(cmd.Start()).To(Succeed())
		dir, err := bufio.NewReader(stdout).ReadString('\n')
		Expect(err).NotTo(HaveOccurred())
		dir = strings.TrimSpace(dir)
		Expect(processesOf(dir)).To(HaveLen(4), "two programs, and their watchers")

		Expect(cmd.Process.Kill()).To(Succeed())
		Expect(cmd.Wait()).NotTo(Succeed())
		Eventually(func() []string { return processesOf(dir) }).Should(BeEmpty())
		Eventually(dir).ShouldNot(BeADirectory())
	})
})

// processesOf returns the command lines that mention the folder.
func processesOf(dir string) []string {
	GinkgoHelper()
	listing, err := exec.Command("ps", "-A", "-o", "args=").Output()
	Expect(err).NotTo(HaveOccurred())
	var found []string
	for line := range strings.Lines(string(listing)) {
		if strings.Contains(line, dir) {
			found = append(found, line)
		}
	}
	return found
}
