// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package mutation_test

import (
	"go/format"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/test/mutation"
)

// root is the repository's.
const root = "../.."

func TestEveryMutationAppliesAndCompiles(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutation.All() {
		t.Run(m.Name, func(t *testing.T) {
			if seen[m.Name] || m.Why == "" || m.Old == m.New {
				t.Errorf("%+v has a name that is taken, says nothing, or does nothing", m)
			}
			seen[m.Name] = true
			dir := t.TempDir()
			overlay, err := mutation.Overlay(root, dir, m)
			if err != nil {
				t.Fatal(err)
			}
			mutated, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(m.File, "/", "_")))
			if err != nil {
				t.Fatal(err)
			}
			if formatted, err := format.Source(mutated); err != nil || string(formatted) != string(mutated) {
				t.Errorf("the mutated file is not formatted as it has to be: %v", err)
			}
			build := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "./"+path.Dir(m.File))
			build.Dir = root
			if output, err := build.CombinedOutput(); err != nil {
				t.Errorf("the mutated package does not compile: %v\n%s", err, output)
			}
		})
	}
}

func TestAMutationThatDoesNotFitIsRefused(t *testing.T) {
	repository := t.TempDir()
	if err := os.WriteFile(filepath.Join(repository, "a.go"), []byte("package a\n\nvar b, c = 1, 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]mutation.Mutation{
		"its text is gone":        {Name: "gone", File: "a.go", Old: "2", New: "3"},
		"its text is there twice": {Name: "twice", File: "a.go", Old: "1", New: "3"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := mutation.Overlay(repository, dir, m); err == nil || !strings.Contains(err.Error(), m.Name) {
				t.Errorf("got error %v", err)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("left %v behind", left)
			}
		})
	}
	if _, err := mutation.Overlay(repository, t.TempDir(), mutation.Mutation{Name: "absent", File: "b.go", Old: "1"}); err == nil {
		t.Error("a file that is not there was mutated")
	}
}

func TestMutationsAreAppliedInTheirOrder(t *testing.T) {
	repository, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(repository, "a.go"), []byte("package a\n\nvar b = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	first, second := mutation.Mutation{Name: "first", File: "a.go", Old: "1", New: "2"}, mutation.Mutation{Name: "second", File: "a.go", Old: "2", New: "3"}
	if _, err := mutation.Overlay(repository, dir, first, second); err != nil {
		t.Fatal(err)
	}
	if mutated, err := os.ReadFile(filepath.Join(dir, "a.go")); err != nil || string(mutated) != "package a\n\nvar b = 3\n" {
		t.Errorf("%q, %v", mutated, err)
	}
	if _, err := mutation.Overlay(repository, dir, second, first); err == nil {
		t.Error("in the other order they do not fit")
	}
}

func TestMutationsAreFoundByName(t *testing.T) {
	for _, m := range mutation.All() {
		if found, err := mutation.Named(m.Name); err != nil || found.Name != m.Name {
			t.Errorf("%s: got %q, %v", m.Name, found.Name, err)
		}
	}
	if _, err := mutation.Named("none"); err == nil || !strings.Contains(err.Error(), "fence") {
		t.Errorf("got error %v", err)
	}
}
