// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
)

// kubectl runs it as the cluster's admin.
func kubectl(ctx context.Context, arguments ...string) error {
	_, err := output(world.product.ControlPlane.Kubectl(ctx, arguments...))
	return err
}

// apply applies manifests of testdata.
func apply(ctx context.Context, names ...string) error {
	arguments := []string{"apply", "--server-side"}
	for _, name := range names {
		path, err := filepath.Abs(filepath.Join("testdata", name))
		if err != nil {
			return err
		}
		arguments = append(arguments, "-f", path)
	}
	return kubectl(ctx, arguments...)
}

// command runs a program of the machine.
func command(ctx context.Context, name string, arguments ...string) error {
	_, err := output(exec.CommandContext(ctx, name, arguments...))
	return err
}

// output runs a command. An error has what it printed as a complaint.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", cmd.Args, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// key names an APIKey, as the gateway's upstream knows it.
type key struct{ namespace, name string }

func (k key) String() string { return k.namespace + "/" + k.name }

// awaitKeys waits until every APIKey is ready.
func awaitKeys(ctx context.Context) error {
	return kubectl(ctx, "wait", "--for=condition=Ready", "apikeys", "--all", "--all-namespaces", "--timeout=60s")
}

// secret reads what a pod that mounts the key's Secret gets.
func secret(ctx context.Context, k key) (map[string][]byte, error) {
	data, err := output(world.product.ControlPlane.Kubectl(ctx, "get", "secret", k.name, "-n", k.namespace, "-o", "json"))
	if err != nil {
		return nil, err
	}
	var s corev1.Secret
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("secret of %s: %w", k, err)
	}
	world.mintedMu.Lock()
	defer world.mintedMu.Unlock()
	world.minted = append(world.minted, s.Data["api-key"])
	return s.Data, nil
}
