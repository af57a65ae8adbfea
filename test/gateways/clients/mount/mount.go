// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mount lays a Secret out as the kubelet does in a pod: as a volume, whose
// files all change at once, and as the environment of envFrom.
package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Volume is a mounted Secret. Each file is a symbolic link into the folder ..data, which
// itself is one; that is swapped in a single step when the Secret changes. What watches a
// file has to understand it:
// https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod
type Volume struct{ dir string }

// NewVolume mounts the Secret's data in a new folder.
func NewVolume(dir string, data map[string][]byte) (*Volume, error) {
	v := &Volume{dir: dir}
	err := os.Mkdir(dir, 0o700)
	for name := range data {
		err = errors.Join(err, os.Symlink(filepath.Join("..data", name), v.Path(name)))
	}
	if err = errors.Join(err, v.Update(data)); err != nil {
		return nil, fmt.Errorf("mount a secret: %w", err)
	}
	return v, nil
}

// Path is where an entry of the Secret is.
func (v *Volume) Path(name string) string { return filepath.Join(v.dir, name) }

// Update has the volume hold other data, under the names that it has.
func (v *Volume) Update(data map[string][]byte) error {
	folder, err := os.MkdirTemp(v.dir, "..")
	if err != nil {
		return fmt.Errorf("update a mounted secret: %w", err)
	}
	for name, value := range data {
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
