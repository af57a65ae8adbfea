// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"os"
	"path/filepath"
	"testing"
)

// root is the repository, seen from this package.
const root = "../../.."

// read returns a file of config/gateways.
func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "config", "gateways", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
