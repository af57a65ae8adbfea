// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/mod/modfile"
)

const (
	modulePath = "github.com/hexcovery/apikey-operator"
	// kubernetesModule is the requirement of the binaries module whose version names everything provisioned.
	kubernetesModule = "k8s.io/kubernetes"
)

// binariesModule is the folder, below the root, of the module that the binaries are built from.
var binariesModule = filepath.Join("hack", "controlplane", "binaries")

// repositoryRoot returns the folder of the product's go.mod. It looks upwards from this source file, so that it does not
// matter where a test or a demo is started, and then from the working directory, for builds that trimmed the source's path.
func repositoryRoot() (string, error) {
	var starts []string
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		starts = append(starts, filepath.Dir(file))
	}
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	for _, dir := range starts {
		for {
			data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err == nil && modfile.ModulePath(data) == modulePath {
				return dir, nil
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return "", fmt.Errorf("find the repository: %w", err)
			}
			parent := filepath.Dir(dir)
			if parent == dir {
				break
			}
			dir = parent
		}
	}
	return "", fmt.Errorf("find the repository: no go.mod of %s above %q", modulePath, starts)
}

// kubernetesVersion reads the version of Kubernetes, such as v1.37.2, from the go.mod of the binaries module: the one place
// that says it.
func kubernetesVersion(moduleDir string) (string, error) {
	path := filepath.Join(moduleDir, "go.mod")
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the version of Kubernetes: %w", err)
	}
	file, err := modfile.Parse(path, data, nil)
	if err != nil {
		return "", fmt.Errorf("read the version of Kubernetes: %w", err)
	}
	for _, require := range file.Require {
		if require.Mod.Path == kubernetesModule {
			return require.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("read the version of Kubernetes: %s does not require %s", path, kubernetesModule)
}
