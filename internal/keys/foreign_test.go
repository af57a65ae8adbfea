// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
)

// foreign are texts of forms that others give their keys.
func foreign() map[string]string {
	return map[string]string{
		"shortest":          strings.Repeat("a", ForeignMinLength),
		"longest":           strings.Repeat("~", ForeignMaxLength),
		"UUID":              "6f1c1e5a-0d7e-4a41-9d0b-6a2f4f1c3b22",
		"hexadecimal":       "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"base64":            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
		"prefix and dots":   "glc_eyJvIjoiMSJ9.c2lnbmF0dXJl.0123",
		"all visible ASCII": visibleASCII(),
		"hxk_ further on":   "x" + Prefix + strings.Repeat("0", 20),
		"HXK_":              "HXK_" + strings.Repeat("0", 20),
	}
}

// visibleASCII has each character that a foreign key may have.
func visibleASCII() string {
	var text strings.Builder
	for c := byte('!'); c <= '~'; c++ {
		if c != ',' {
			text.WriteByte(c)
		}
	}
	return text.String()
}

// notForeign are texts that no foreign key may have.
func notForeign(t testing.TB) map[string]string {
	head := strings.Repeat("a", ForeignMinLength)
	return map[string]string{
		"empty":               "",
		"too short":           head[1:],
		"too long":            strings.Repeat("a", ForeignMaxLength+1),
		"very long":           strings.Repeat("a", 1<<20),
		"a comma":             head + "," + head,
		"a blank":             head + " " + head,
		"blank at the end":    head + " ",
		"a tab":               head + "\t" + head,
		"newline at the end":  head + "\n",
		"NUL":                 head + "\x00",
		"DEL":                 head + "\x7f",
		"UTF-8":               head + "é",
		"high byte":           head + "\xff",
		"one of ours":         textOf(mintOf(t, counting(0))),
		"one of ours, cut":    textOf(mintOf(t, counting(0)))[:Length-1],
		"one of ours, longer": textOf(mintOf(t, counting(0))) + "0",
		"prefix and anything": Prefix + head,
	}
}

func TestParseForeign(t *testing.T) {
	for name, text := range foreign() {
		digest, err := ParseForeign(text)
		if err != nil || digest != sha256.Sum256([]byte(text)) {
			t.Errorf("%s: %v, %v", name, digest, err)
		}
	}
	for name, text := range notForeign(t) {
		digest, err := ParseForeign(text)
		if !errors.Is(err, ErrForeign) || !errors.Is(err, ErrMalformed) || digest != (Digest{}) {
			t.Errorf("%s: %v, %v", name, digest, err)
		}
	}
}

func TestParseForeignDoesNotAllocate(t *testing.T) {
	texts := notForeign(t)
	for name, text := range foreign() {
		texts[name] = text
	}
	for name, text := range texts {
		if allocs := testing.AllocsPerRun(100, func() { _, _ = ParseForeign(text) }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// FuzzParseForeign: no text is taken by both Parse and ParseForeign, and what is taken
// is one value of a header, to the last byte of which the digest belongs.
func FuzzParseForeign(f *testing.F) {
	for _, text := range foreign() {
		f.Add(text)
	}
	for _, text := range notForeign(f) {
		if len(text) <= 2*ForeignMaxLength {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		digest, err := ParseForeign(text)
		if err != nil {
			if !errors.Is(err, ErrForeign) || digest != (Digest{}) {
				t.Errorf("got %v, %v", digest, err)
			}
			return
		}
		if digest != sha256.Sum256([]byte(text)) {
			t.Errorf("%q: the digest is of something else", text)
		}
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken by both", text)
		}
		if strings.TrimSpace(text) != text || strings.ContainsAny(text, ", \t\r\n") {
			t.Errorf("%q is more than one value, or less", text)
		}
	})
}

func BenchmarkParseForeign(b *testing.B) {
	for name, text := range map[string]string{
		"UUID": foreign()["UUID"], "longest": foreign()["longest"], "too short": "hunter2", "a blank at the end": strings.Repeat("a", ForeignMaxLength-1) + " ",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ParseForeign(text)
			}
		})
	}
}
