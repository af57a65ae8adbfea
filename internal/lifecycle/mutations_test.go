// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build mutations

package lifecycle

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/test/mutation"
)

// TestMutations takes a line out of the decisions, one at a time, and has the other tests of
// the package notice:
//
//	go test -tags mutations -run TestMutations -timeout 1h ./internal/lifecycle
func TestMutations(t *testing.T) {
	table, err := os.ReadFile("testdata/mutations.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var mutations []mutation.Mutation
	if err := yaml.UnmarshalStrict(table, &mutations); err != nil {
		t.Fatal(err)
	}
	const root = "../.."
	for _, m := range mutations {
		t.Run(m.Name, func(t *testing.T) {
			m.File = "internal/lifecycle/" + m.File
			overlay, err := mutation.Overlay(root, t.TempDir(), m)
			if err != nil {
				t.Fatal(err)
			}
			test := exec.CommandContext(t.Context(), "go", "test", "-short", "-failfast", "-vet=off", "-overlay", overlay, "./internal/lifecycle")
			test.Dir = root
			output, err := test.CombinedOutput()
			switch {
			case err == nil:
				t.Errorf("survives: %s", m.Why)
			case !strings.Contains(string(output), "--- FAIL"):
				t.Errorf("does not compile:\n%s", output)
			default:
				t.Log(firstFailure(string(output)))
			}
		})
	}
}

// firstFailure names the test that has noticed.
func firstFailure(output string) string {
	var failed []string
	for line := range strings.Lines(output) {
		if rest, ok := strings.CutPrefix(line, "--- FAIL: "); ok {
			failed = append(failed, strings.Fields(rest)[0])
		}
	}
	return strings.Join(failed, " ")
}
