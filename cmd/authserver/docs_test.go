// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/internal/surface"
)

const surfacePage = "docs/surface.md"

// blocks returns the fenced blocks of a page that are marked with a language.
func blocks(t *testing.T, page, language string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, part := range strings.Split(string(text), "\n```"+language+"\n")[1:] {
		block, _, closed := strings.Cut(part, "```\n")
		if !closed {
			t.Fatalf("%s: a block of %s is not closed", page, language)
		}
		found = append(found, block)
	}
	if len(found) == 0 {
		t.Fatalf("%s: no block of %s", page, language)
	}
	return found
}

// Whoever copies an example from the page sees what the page says.
func TestPrintedExamplesAreTrue(t *testing.T) {
	t.Chdir("../..")
	commands := 0
	for _, block := range blocks(t, surfacePage, "console") {
		code := -1
		for _, example := range strings.Split("\n"+block, "\n$ ")[1:] {
			command, want, _ := strings.Cut(strings.TrimSuffix(example, "\n"), "\n")
			var got string
			if command == "echo $?" {
				got = fmt.Sprint(code)
			} else {
				arguments, ok := strings.CutPrefix(command, "authserver ")
				if !ok {
					t.Errorf("%q: this test cannot run it", command)
					continue
				}
				code, got = printed(t, "", strings.Fields(arguments)...)
				commands++
			}
			if got = strings.TrimSuffix(got, "\n"); got != want {
				t.Errorf("%s prints\n%s\nand not\n%s", command, got, want)
			}
		}
	}
	if commands < 5 {
		t.Errorf("only %d commands were found", commands)
	}
}

func TestPrintedSurfacesAreSurfaces(t *testing.T) {
	t.Chdir("../..")
	for _, block := range blocks(t, surfacePage, "yaml") {
		if _, err := surface.Parse([]byte(block)); err != nil {
			t.Errorf("%v, in\n%s", err, block)
		}
	}
}
