// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

// definitions are the files with CRDs, in the modules that crds/go.mod pins.
var definitions = map[string][]string{
	"sigs.k8s.io/gateway-api":       {"config/crd/experimental/gateway.networking.k8s.io_*s.yaml"},
	"github.com/envoyproxy/gateway": {"charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_*.yaml"},
	"istio.io/api":                  {"kubernetes/customresourcedefinitions.gen.yaml"},
	"github.com/traefik/traefik/v3": {"docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"},
}

// definitionFiles downloads the modules, unless they are here, and returns the
// paths of their CRDs.
func definitionFiles(ctx context.Context) ([]string, error) {
	data, err := os.ReadFile("crds/go.mod")
	if err != nil {
		return nil, err
	}
	mod, err := modfile.Parse("crds/go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, require := range mod.Require {
		dir, err := download(ctx, require.Mod.Path+"@"+require.Mod.Version)
		if err != nil {
			return nil, err
		}
		for _, pattern := range definitions[require.Mod.Path] {
			found, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				return nil, err
			}
			if len(found) == 0 {
				return nil, fmt.Errorf("%s has no files %s", require.Mod, pattern)
			}
			files = append(files, found...)
		}
	}
	return files, nil
}

// download returns the folder of a module. Its checksum is that of crds/go.sum, or
// this fails.
func download(ctx context.Context, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = "crds"
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr != nil {
		return "", fmt.Errorf("download %s: %w", module, errors.Join(err, jsonErr))
	}
	if answer.Error != "" {
		return "", fmt.Errorf("download %s: %s", module, answer.Error)
	}
	return answer.Dir, err
}
