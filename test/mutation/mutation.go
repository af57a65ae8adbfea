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
	"bytes"
	"cmp"
	_ "embed" // for mutations.yaml
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"
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

//go:embed mutations.yaml
var table []byte

// All returns every mutation: the protective steps of internal/registry.
var All = sync.OnceValue(func() (all []Mutation) {
	if err := yaml.UnmarshalStrict(table, &all); err != nil {
		panic(fmt.Sprintf("mutations.yaml: %v", err)) // it is part of the program
	}
	return all
})

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

// Overlay writes mutated copies to the folder dir, and the file for -overlay that puts
// them in place of the originals, and returns the path of the latter. root is the
// repository's; dir is an absolute path, since the Go command may run anywhere. Mutations
// are applied in their order, so that one can change what another has made. It fails if
// one does not fit the source any more.
func Overlay(root, dir string, mutations ...Mutation) (overlayFile string, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("overlay: %w", err)
	}
	replace := map[string]string{}
	for _, m := range mutations {
		original := filepath.Join(root, filepath.FromSlash(m.File))
		mutated := filepath.Join(dir, strings.ReplaceAll(m.File, "/", "_"))
		if err := m.apply(cmp.Or(replace[original], original), mutated); err != nil {
			return "", fmt.Errorf("mutation %s: %w", m.Name, err)
		}
		replace[original] = mutated
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

// apply changes what is in one file, and writes it to another.
func (m Mutation) apply(from, to string) error {
	source, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if n := bytes.Count(source, []byte(m.Old)); n != 1 {
		return fmt.Errorf("its text is %d times in %s, and has to be there once: see what became of the step, and change the mutation\n%s",
			n, m.File, m.Old)
	}
	return os.WriteFile(to, bytes.Replace(source, []byte(m.Old), []byte(m.New), 1), 0o600)
}
