// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// fieldManager owns the fields that Apply sets.
const fieldManager = "controlplane"

// Kubectl returns a kubectl command for the administrator, to be run from the root of the repository. It is deaf to the
// settings of whoever runs it; set another KUBECONFIG in its Env to be another user.
func (cp *ControlPlane) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, cp.Binaries.Path(kubectlProgram), args...)
	cmd.Dir = cp.root
	// By environment and not by flags, which plugins of kubectl would not get.
	cmd.Env = append(os.Environ(),
		"KUBECONFIG="+cp.AdminKubeconfig(),
		// kubectl caches discovery by address, and the next control plane may get the port of this one.
		"KUBECACHEDIR="+filepath.Join(cp.dir, "kubectl-cache"),
		"KUBERC=off",
	)
	return cmd
}

// Apply applies a kustomization, by its path from the root of the repository, on the server's side, and waits until the
// CustomResourceDefinitions in it are established, and, if it is one of the product's, until its policies stamp objects.
func (cp *ControlPlane) Apply(ctx context.Context, kustomizeDir string) error {
	applied, err := output(cp.Kubectl(ctx, "apply", "--server-side", "--field-manager", fieldManager, "--output=name", "-k", kustomizeDir))
	if err != nil {
		return fmt.Errorf("apply %s: %w", kustomizeDir, err)
	}
	var definitions []string
	for name := range strings.FieldsSeq(applied) {
		if strings.HasPrefix(name, "customresourcedefinition.apiextensions.k8s.io/") {
			definitions = append(definitions, name)
		}
	}
	if len(definitions) == 0 {
		return nil
	}
	args := append([]string{"wait", "--for=condition=Established", "--timeout=30s"}, definitions...)
	if _, err := output(cp.Kubectl(ctx, args...)); err != nil {
		return fmt.Errorf("apply %s: %w", kustomizeDir, err)
	}
	if strings.Contains(applied, stampPolicy) {
		if err := cp.awaitStamp(ctx); err != nil {
			return fmt.Errorf("apply %s: %w", kustomizeDir, err)
		}
	}
	return nil
}

// output runs the command and returns what it printed; the error has what it printed on standard error.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", cmd.Args[1], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}
