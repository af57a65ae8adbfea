// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mutation has the protective steps of the registry as data: for each, how
// the product's source reads without it.
//
// A test of the guarantee proves something only if it fails when a step is taken
// out. A mutation is applied with the Go command's -overlay, so that a test can be
// run against it, or a program built with it, while the product has no switch and
// the checkout stays as it is:
//
//	overlay, err := mutation.Overlay(root, dir, m)
//	go test -overlay OVERLAY ./internal/registry -run Simulation
package mutation

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Mutation is one step of the protocol taken out, as a replacement in one file.
type Mutation struct {
	// Name is what the step is called.
	Name string
	// Why says what the code does without the step.
	Why string
	// Test is what fails without the step, of the package that File is in.
	Test string
	// Seed is that of a schedule in which the simulation noticed; the search for one begins
	// there. 0 is the first.
	Seed uint64
	// File is relative to the repository's root.
	File string
	// Old is in File exactly once; New takes its place.
	Old, New string
}

// Named returns the mutation of that name.
func Named(name string) (Mutation, error) {
	var names []string
	for _, m := range All() {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Mutation{}, fmt.Errorf("no mutation %q: there are %s", name, strings.Join(names, ", "))
}

// Overlay writes mutated copies to dir, and the file for -overlay that puts them in
// place of the originals, and returns the path of the latter. root is the
// repository's. Mutations are applied in their order, so that one can change what
// another has made. It fails if one does not fit the source any more.
func Overlay(root, dir string, mutations ...Mutation) (overlayFile string, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("overlay: %w", err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("overlay: %w", err)
	}
	sources := map[string]string{}
	for _, m := range mutations {
		original := filepath.Join(root, filepath.FromSlash(m.File))
		if err := m.apply(sources, original); err != nil {
			return "", fmt.Errorf("mutation %s: %w", m.Name, err)
		}
	}
	replace := map[string]string{}
	for original, source := range sources {
		replace[original] = filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(original, root+string(filepath.Separator)), string(filepath.Separator), "_"))
		if err := os.WriteFile(replace[original], []byte(source), 0o600); err != nil {
			return "", fmt.Errorf("overlay: %w", err)
		}
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("overlay: %w", err)
	}
	overlayFile = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		return "", fmt.Errorf("overlay: %w", err)
	}
	return overlayFile, nil
}

// apply changes the source of the file original, which is read if it is not there.
func (m Mutation) apply(sources map[string]string, original string) error {
	source, ok := sources[original]
	if !ok {
		data, err := os.ReadFile(original)
		if err != nil {
			return err
		}
		source = string(data)
	}
	if n := strings.Count(source, m.Old); n != 1 {
		return fmt.Errorf("its text is %d times in %s, and has to be there once: see what became of the step, and change the mutation\n%s",
			n, m.File, m.Old)
	}
	sources[original] = strings.Replace(source, m.Old, m.New, 1)
	return nil
}
