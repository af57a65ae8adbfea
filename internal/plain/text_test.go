// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package plain

import (
	"testing"
	"unicode"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"an agent's \"key\" <b>":       "an agent's \"key\" <b>",
		"агенты 🚀, café":               "агенты 🚀, café",
		"two\nlines\r\n":               `two\nlines\r\n`,
		"\x1b[2Jgone":                  `\x1b[2Jgone`,
		"\u009b31m\u0085":              `\u009b31m\u0085`,
		"agent\u202egnp.exe":           `agent\u202egnp.exe`,
		"a\u200bb\u2028c\ufeff":        `a\u200bb\u2028c\ufeff`,
		"a\u00a0b":                     `a\u00a0b`,
		"\xff\xfe":                     `\ufffd\ufffd`,
		"replaced \ufffd already":      "replaced \ufffd already",
		"a tag \U000e0041":             `a tag \U000e0041`,
		`an escape \n that is no such`: `an escape \n that is no such`,
	} {
		if got := Text(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("two\nlines \x1b[31m \u202e \xff")
	f.Fuzz(func(t *testing.T, text string) {
		plain := Text(text)
		for _, r := range plain {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q has %q", plain, r)
			}
		}
		if Text(plain) != plain {
			t.Fatalf("%q is not its own plain text", plain)
		}
	})
}
