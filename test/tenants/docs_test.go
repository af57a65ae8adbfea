// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package tenants

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/security.md names a test for each thing that somebody cannot do.
func TestTheSecurityPageNamesTestsThatThereAre(t *testing.T) {
	const docs = "../../docs"
	page, err := os.ReadFile(filepath.Join(docs, "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	// [`file`](path): *test*, *another test*
	reference := regexp.MustCompile("\\[`[^`]+`\\]\\(([^)]+_test\\.go)\\): ((?:\\*[^*]+\\*(?:, )?)+)")
	lines := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| cannot |") || strings.HasPrefix(line, "| --- |") {
			continue
		}
		lines++
		references := reference.FindAllStringSubmatch(line, -1)
		if len(references) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, found := range references {
			source, err := os.ReadFile(filepath.Join(docs, found[1]))
			if err != nil {
				t.Error(err)
				continue
			}
			for name := range strings.SplitSeq(strings.Trim(found[2], "*, "), "*, *") {
				if !strings.Contains(string(source), name) {
					t.Errorf("%s has no test %q", found[1], name)
				}
			}
		}
	}
	if lines < 20 {
		t.Errorf("only %d lines were found", lines)
	}
}
