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
type Volume struct {
	dir   string
	count int
}

// NewVolume mounts the Secret's data in an empty folder.
func NewVolume(dir string, data map[string][]byte) (*Volume, error) {
	v := &Volume{dir: dir}
	if err := v.Update(data); err != nil {
		return nil, err
	}
	for name := range data {
		if err := os.Symlink(filepath.Join("..data", name), v.Path(name)); err != nil {
			return nil, fmt.Errorf("mount a secret: %w", err)
		}
	}
	return v, nil
}

// Path is where an entry of the Secret is.
func (v *Volume) Path(name string) string { return filepath.Join(v.dir, name) }

// Update has the volume hold other data, under the names that it has.
func (v *Volume) Update(data map[string][]byte) error {
	v.count++
	folder := fmt.Sprintf("..%06d", v.count)
	if err := os.Mkdir(filepath.Join(v.dir, folder), 0o700); err != nil {
		return fmt.Errorf("update a mounted secret: %w", err)
	}
	for name, value := range data {
		if err := os.WriteFile(filepath.Join(v.dir, folder, name), value, 0o600); err != nil {
			return fmt.Errorf("update a mounted secret: %w", err)
		}
	}
	data1, data2 := filepath.Join(v.dir, "..data"), filepath.Join(v.dir, "..data_tmp")
	before, err := os.Readlink(data1)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("update a mounted secret: %w", err)
	}
	if err := errors.Join(os.Symlink(folder, data2), os.Rename(data2, data1)); err != nil {
		return fmt.Errorf("update a mounted secret: %w", err)
	}
	if before == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(v.dir, before))
}
