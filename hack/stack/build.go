// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"io"
	"path/filepath"
	"slices"

	"github.com/hexcovery/apikey-operator/hack/build"
)

// Programs are the paths of the product's programs.
type Programs struct {
	Manager, AuthServer string
}

// Build makes the programs of the product from the working tree, in the folder dir, which
// is bin where it is empty. flags are more of those in "go help build". log is told about
// progress.
func Build(ctx context.Context, log io.Writer, dir string, flags ...string) (Programs, error) {
	root, err := build.Root()
	if err != nil {
		return Programs{}, err
	}
	if dir == "" {
		dir = filepath.Join(root, "bin")
	}
	err = build.Run(ctx, log, build.Spec{
		Name: "manager and authserver", Module: root, Takes: "a minute or two",
		// The slash at the end says that dir is a folder.
		Args: slices.Concat([]string{"-o", filepath.Clean(dir) + "/"}, flags,
			[]string{build.Product + "/cmd/manager", build.Product + "/cmd/authserver"}),
	})
	return Programs{Manager: filepath.Join(dir, "manager"), AuthServer: filepath.Join(dir, "authserver")}, err
}
