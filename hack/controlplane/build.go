// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// buildGrace is how long an interrupted go command may take to end by itself.
const buildGrace = 10 * time.Second

// build makes a binary from the binaries module. It appears under its name only when it is complete. The caller holds the
// lock, which the build inherits.
func (p *provisioner) build(ctx context.Context, b binary, lock *os.File) error {
	p.say.sayf("building %s for Kubernetes %s from Go modules; about %s the first time", b.name, p.version, b.coldBuild)
	began := time.Now()
	output := &buildOutput{}
	// The lock makes this name ours. What an interrupted build left is removed, for the go command refuses to overwrite
	// what it does not recognize as an object file.
	temporary := filepath.Join(p.folder(), "."+b.name+".partial")
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	cmd := p.buildCommand(ctx, b, temporary)
	cmd.Stderr = output
	cmd.ExtraFiles = []*os.File{lock}

	err := during(p.heartbeat, func(elapsed time.Duration) {
		p.say.sayf("building %s: %s, %s", b.name, seconds(elapsed.Round(time.Second)), output.summary())
	}, cmd.Run)
	if ctx.Err() != nil {
		return fmt.Errorf("build %s: %w", b.name, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", b.name, err, output.last())
	}
	if err := os.Rename(temporary, filepath.Join(p.folder(), b.name)); err != nil {
		return errors.Join(fmt.Errorf("build %s: %w", b.name, err), os.RemoveAll(temporary))
	}
	p.say.sayf("built %s in %s", b.name, seconds(time.Since(began)))
	return nil
}

func (p *provisioner) buildCommand(ctx context.Context, b binary, output string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.goTool, "build", "-v", "-trimpath", "-ldflags", linkerFlags(p.version), "-o", output, b.pkg)
	cmd.Dir = p.module
	// Static binaries; and no workspace of the developer's, whose versions would replace the pinned ones.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = buildGrace
	return cmd
}

// linkerFlags stamp the version that the components report: built from a module they would call themselves v0.0.0, which
// kubectl and feature gates by version refuse.
func linkerFlags(version string) string {
	const pkg = "k8s.io/component-base/version"
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	flags := fmt.Sprintf("-s -w -X %s.gitVersion=%s", pkg, version)
	if len(parts) == 3 {
		flags += fmt.Sprintf(" -X %s.gitMajor=%s -X %s.gitMinor=%s", pkg, parts[0], pkg, parts[1])
	}
	return flags
}
