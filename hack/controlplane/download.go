// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/mod/semver"
)

const (
	// setupEnvtest is pinned by the binaries module.
	setupEnvtest = "sigs.k8s.io/controller-runtime/tools/setup-envtest"
	// downloadLimit keeps a machine behind a silent firewall from waiting for long: a download takes seconds or does not work.
	downloadLimit = 60 * time.Second
)

// download asks setup-envtest for the newest patch of the wanted minor version, and links what it brings into the folder
// of the binaries. The error is one line.
func (p *provisioner) download(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, downloadLimit, fmt.Errorf("no answer in %s", downloadLimit))
	defer cancel()
	fmt.Fprintf(p.log, "controlplane: asking setup-envtest for Kubernetes %s\n", semver.MajorMinor(p.version))
	dir, err := p.runSetupEnvtest(ctx)
	if err != nil {
		return fmt.Errorf("setup-envtest: %w", err)
	}
	for _, program := range envtestPrograms {
		if err := leadTo(filepath.Join(dir, program), filepath.Join(p.folder(), program)); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.log, "controlplane: setup-envtest brought %s\n", filepath.Base(dir))
	return nil
}

// runSetupEnvtest returns the folder with what setup-envtest downloaded, or had downloaded before.
func (p *provisioner) runSetupEnvtest(ctx context.Context) (string, error) {
	series := strings.TrimPrefix(semver.MajorMinor(p.version), "v") + ".x"
	cmd := exec.CommandContext(ctx, p.goTool, "run", setupEnvtest, "use", series, "--bin-dir", p.bin, "-p", "path")
	cmd.Dir = p.module
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// "go run" does not pass on the signal that ends it: the tool has to be ended with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", errors.New(reason(stderr.String(), err))
	}
	dir := strings.TrimSpace(stdout.String())
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("unexpected answer %q", dir)
	}
	return dir, nil
}

// reason picks the line that tells why the go command failed.
func reason(stderr string, err error) string {
	why := err.Error()
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "go: downloading ") && !strings.HasPrefix(line, "exit status ") {
			why = line
		}
	}
	return why
}
