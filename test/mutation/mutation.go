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

// Overlay writes the mutated copy of m.File to dir, and the file for -overlay that
// puts it in place of the original, and returns the path of the latter. root is the
// repository's. It fails if m does not fit the source any more.
func Overlay(root, dir string, m Mutation) (overlayFile string, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("mutation %s: %w", m.Name, err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("mutation %s: %w", m.Name, err)
	}
	original := filepath.Join(root, filepath.FromSlash(m.File))
	source, err := os.ReadFile(original)
	if err != nil {
		return "", fmt.Errorf("mutation %s: %w", m.Name, err)
	}
	if n := strings.Count(string(source), m.Old); n != 1 {
		return "", fmt.Errorf("mutation %s: its text is %d times in %s, and has to be there once: see what became of the step, and change the mutation\n%s",
			m.Name, n, m.File, m.Old)
	}
	mutated := filepath.Join(dir, m.Name+".go")
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(source), m.Old, m.New, 1)), 0o600); err != nil {
		return "", fmt.Errorf("mutation %s: %w", m.Name, err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: mutated}})
	if err != nil {
		return "", fmt.Errorf("mutation %s: %w", m.Name, err)
	}
	overlayFile = filepath.Join(dir, m.Name+".json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		return "", fmt.Errorf("mutation %s: %w", m.Name, err)
	}
	return overlayFile, nil
}
