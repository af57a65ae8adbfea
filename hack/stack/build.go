// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"io"
	"path/filepath"

	"github.com/hexcovery/apikey-operator/hack/build"
)

// Programs are the paths of the product's programs.
type Programs struct {
	Manager, AuthServer string
}

// Build makes the programs of the product from the working tree, in bin. log is told about
// progress.
func Build(ctx context.Context, log io.Writer) (Programs, error) {
	root, err := build.Root()
	if err != nil {
		return Programs{}, err
	}
	return programs(ctx, log, root, filepath.Join(root, "bin"))
}

// BuildWith is Build into the folder dir, from the working tree as the file overlay
// changes it: see -overlay in "go help build".
func BuildWith(ctx context.Context, log io.Writer, dir, overlay string) (Programs, error) {
	root, err := build.Root()
	if err != nil {
		return Programs{}, err
	}
	return programs(ctx, log, root, dir, "-overlay", overlay)
}

func programs(ctx context.Context, log io.Writer, root, dir string, flags ...string) (Programs, error) {
	// The slash at the end says that dir is a folder.
	args := append([]string{"-o", filepath.Clean(dir) + "/"}, flags...)
	err := build.Run(ctx, log, build.Spec{
		Name: "manager and authserver", Module: root, Takes: "a minute or two",
		Args: append(args, build.Product+"/cmd/manager", build.Product+"/cmd/authserver"),
	})
	return Programs{Manager: filepath.Join(dir, "manager"), AuthServer: filepath.Join(dir, "authserver")}, err
}
