// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bufio"
	"os"
	"os/exec"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

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

// processesOf returns the command lines of all processes that have to do with the folder.
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
