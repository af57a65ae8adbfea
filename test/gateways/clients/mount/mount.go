// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mount lays a Secret out as the kubelet does in a pod: as a volume, whose
// files all change at once, and as the environment of envFrom.
package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Volume is the folder of a mounted Secret. Each file is a symbolic link into the folder
// ..data, which itself is one; that is swapped in a single step when the Secret changes.
// What watches a file has to understand it:
// https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod
type Volume string

// Path is where an entry of the Secret is.
func (v Volume) Path(name string) string { return filepath.Join(string(v), name) }

// Update has the volume, which it makes at first, hold the data of a Secret. It keeps the
// names that it has.
func (v Volume) Update(data map[string][]byte) error {
	err := os.MkdirAll(string(v), 0o700)
	folder, bad := os.MkdirTemp(string(v), "..")
	if err = errors.Join(err, bad); err != nil {
		return fmt.Errorf("update a mounted secret: %w", err)
	}
	for name, value := range data {
		if link := os.Symlink(filepath.Join("..data", name), v.Path(name)); !errors.Is(link, fs.ErrExist) {
			err = errors.Join(err, link)
		}
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, name), value, 0o600))
	}
	before, _ := filepath.EvalSymlinks(v.Path("..data")) // at first there is none
	err = errors.Join(err, os.Symlink(filepath.Base(folder), v.Path("..data_tmp")), os.Rename(v.Path("..data_tmp"), v.Path("..data")))
	if err == nil && before != "" {
		err = os.RemoveAll(before)
	}
	if err != nil {
		return fmt.Errorf("update a mounted secret: %w", err)
	}
	return nil
}

// Env is what envFrom makes of a Secret: a variable for each entry. Kubernetes takes
// every name, api-key too, since version 1.32.
func Env(data map[string][]byte) (env []string) {
	for name, value := range data {
		env = append(env, name+"="+string(value))
	}
	return env
}
