// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package words

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/hack/build"
)

// foreign are words that mean nothing else here than what the field has a word for.
// CONTRIBUTING.md has the whole glossary.
var foreign = []struct{ pattern, use string }{
	{`(go(es|ing|ne)?|went) by\b`, "apply"},
	{`heed(s|ed|ing)?\b`, "apply"},
	{`roll ?calls?\b`, "cached list"},
	{`surveys?[ ,.;:)]`, "snapshot"}, // survey-since is a mutation of the model
	{`witness(es|ed)?\b`, "minimum resourceVersion"},
	{`watchm[ae]n\b`, "lease garbage collector"},
	{`tellers?\b`, "usage source"},
	{`imitat(e|es|ed|ion)\b`, "look-alike"},
	{`(was|were|been|are) taken up\b`, "imported"},
	{`expel(s|led)?\b`, "enforce retirement"},
	{`reap(s|ed|er)?\b`, "prune"},
	{`disclaim(s|ed)?\b`, "foreign status"},
}

func TestTextsUseTheWordsOfTheField(t *testing.T) {
	patterns, all := make([]*regexp.Regexp, len(foreign)), make([]string, len(foreign))
	for i, word := range foreign {
		all[i] = word.pattern
		patterns[i] = regexp.MustCompile(`(?i)\b` + word.pattern)
	}
	every := regexp.MustCompile(`(?i)\b(` + strings.Join(all, "|") + ")")
	files := 0
	product(t, func(path, text string) {
		files++
		number := 0
		for line := range strings.Lines(text) {
			number++
			if !every.MatchString(line) || path == "CONTRIBUTING.md" && strings.HasPrefix(line, "| **") {
				continue // the glossary names what not to say
			}
			for i, word := range foreign {
				if found := patterns[i].FindString(line); found != "" {
					t.Errorf("%s:%d says %q. Say %q instead: see Words in CONTRIBUTING.md.", path, number, found, word.use)
				}
			}
		}
	})
	if files < 300 {
		t.Errorf("only %d files were found", files)
	}
}

// product calls f for each file of the product that people read or write: no test, and
// nothing that others have written.
func product(t *testing.T, f func(path, text string)) {
	t.Helper()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if name := entry.Name(); path != "." && (strings.HasPrefix(name, ".") || name == "bin" || name == "testdata" || path == "test") {
				return fs.SkipDir
			}
			return nil
		case strings.HasSuffix(path, "_test.go"):
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".md", ".yaml", ".sh", ".lua", ".conf", ".cfg", ".txt":
		default:
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err == nil {
			f(path, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
