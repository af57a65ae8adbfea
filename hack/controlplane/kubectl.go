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
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

const (
	// fieldManager owns the fields that Apply sets.
	fieldManager = "controlplane"
	// stampPolicy is how kubectl names the product's policy that changes objects.
	stampPolicy = "mutatingadmissionpolicy.admissionregistration.k8s.io/apikey-requested-by"
	// stampTimeout bounds the wait for it. The API server looks for the schema of a new kind every 5 seconds, and refuses
	// what the policy is for until it has found it.
	stampTimeout = 30 * time.Second
)

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

// awaitStamp waits until the API server applies the policy to objects of the product.
func (cp *ControlPlane) awaitStamp(ctx context.Context) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, stampTimeout, true, func(ctx context.Context) (bool, error) {
		probe := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"namespaces": map[string]any{}}}}
		probe.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Organization"))
		probe.SetGenerateName("probe-")
		last = cp.client.Create(ctx, probe, client.DryRunAll)
		if apierrors.IsNotFound(last) || apierrors.IsServiceUnavailable(last) {
			return false, nil
		}
		// Whatever else is wrong is not going to be right.
		return probe.GetAnnotations()[v1alpha1.AnnotationRequestedBy] != "", last
	})
	if err != nil {
		return errors.Join(fmt.Errorf("wait for %s: %w", stampPolicy, err), last)
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
