// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/mod/semver"
)

const (
	setupEnvtest = "sigs.k8s.io/controller-runtime/tools/setup-envtest@v0.25.1"
	// downloadLimit keeps a machine behind a silent firewall from waiting for long: a download takes seconds or does not work.
	downloadLimit = 60 * time.Second
)

// download asks setup-envtest for the newest patch of the wanted minor version, and links what it brings into the folder
// of the binaries. The error is one line.
func (p *provisioner) download(ctx context.Context, missing []binary) error {
	ctx, cancel := context.WithTimeoutCause(ctx, downloadLimit, fmt.Errorf("no answer in %s", downloadLimit))
	defer cancel()
	p.say.sayf("asking setup-envtest for Kubernetes %s", semver.MajorMinor(p.version))
	began := time.Now()
	dir, err := p.runSetupEnvtest(ctx)
	if err != nil {
		return fmt.Errorf("setup-envtest: %w", err)
	}
	for _, b := range missing {
		if !b.inEnvtest {
			continue
		}
		if err := linkInto(p.folder(), filepath.Join(dir, b.name)); err != nil {
			return err
		}
	}
	p.say.sayf("setup-envtest brought %s in %s", filepath.Base(dir), seconds(time.Since(began)))
	return nil
}

// runSetupEnvtest returns the folder with what setup-envtest downloaded, or had downloaded before.
func (p *provisioner) runSetupEnvtest(ctx context.Context) (string, error) {
	series := strings.TrimPrefix(semver.MajorMinor(p.version), "v") + ".x"
	cmd := exec.CommandContext(ctx, p.goTool, "run", setupEnvtest, "use", series, "--bin-dir", p.bin, "-p", "path")
	// Run where there is no go.mod that could have an opinion about the tool's version.
	cmd.Dir = os.TempDir()
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

// linkInto makes a symbolic link to the file appear in the folder, at once, whatever is there under that name.
func linkInto(folder, file string) error {
	if !isExecutable(file) {
		return fmt.Errorf("no executable %s", file)
	}
	target, err := filepath.Rel(folder, file)
	if err != nil {
		return err
	}
	temporary := filepath.Join(folder, "."+filepath.Base(file)+".partial")
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(folder, filepath.Base(file)))
}
