// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/davecgh/go-spew/spew"
	"github.com/onsi/gomega/format"
)

// window is how many bytes of a secret, in any form, count as a leak.
const window = 8

var (
	decimal    = regexp.MustCompile(`[0-9]+`)
	separators = regexp.MustCompile(`0[xX]|[^0-9A-Za-z]+`)
)

// searchFor returns a function that looks for any of secrets in a text: as itself, or as
// hexadecimal, base64 or a list of numbers, a part of it included. It returns the name
// of the form, or "".
func searchFor(text string, random []byte) func(output string) string {
	forms := map[string][]string{}
	for _, secret := range [][]byte{[]byte(strings.TrimPrefix(text, Prefix)), random} {
		for at := range len(secret) - window + 1 {
			part := secret[at : at+window]
			forms["itself"] = append(forms["itself"], string(part))
			forms["hexadecimal"] = append(forms["hexadecimal"], hex.EncodeToString(part))
			forms["numbers"] = append(forms["numbers"], strings.Trim(fmt.Sprint(part), "[]"))
		}
		forms["base64"] = append(forms["base64"], base64Windows(secret)...)
	}
	forms["base64"] = append(forms["base64"], base64Windows([]byte(text))...)
	return func(output string) string {
		in := map[string]string{
			"itself":      output,
			"base64":      output,
			"hexadecimal": strings.ToLower(separators.ReplaceAllString(output, "")),
			"numbers":     strings.Join(decimal.FindAllString(output, -1), " "),
		}
		for form, needles := range forms {
			for _, needle := range needles {
				if strings.Contains(in[form], needle) {
					return form
				}
			}
		}
		return ""
	}
}

// base64Windows returns what base64 makes of parts of secret, in each of the three
// alignments that it may have in a longer text.
func base64Windows(secret []byte) []string {
	var parts []string
	for at := range len(secret) - 9 + 1 {
		part := secret[at : at+9] // three whole groups
		parts = append(parts, base64.StdEncoding.EncodeToString(part), base64.URLEncoding.EncodeToString(part))
	}
	return parts
}

// dumpers print for tests and debugging, and follow pointers and unexported fields,
// calling methods or not.
func dumpers() []printer {
	var all []printer
	for _, methods := range []bool{true, false} {
		config := spew.ConfigState{Indent: " ", DisableMethods: !methods}
		all = append(all,
			printer{fmt.Sprint("spew, methods: ", methods), func(v any) string { return config.Sdump(v) }},
			printer{fmt.Sprint("spew format, methods: ", methods), func(v any) string { return config.Sprintf("%#+v", v) }})
	}
	return append(all, printer{"gomega", func(v any) string { return format.Object(v, 0) }})
}

// carelessText and carelessBytes hold keys as one would without thinking.
type (
	carelessText  string
	carelessBytes []byte
	carelessArray [Length]byte
	carelessField struct{ key *[Length]byte }
)

// TestLeaksAreNoticed is the test of TestPlaintextDoesNotPrint: for each printer there is
// a careless type of which it notices the leak, and for each holder a printer.
func TestLeaksAreNoticed(t *testing.T) {
	text := textOf(mintOf(t, counting(0x91)))
	search := searchFor(text, counting(0x91))
	array := [Length]byte([]byte(text))
	careless := []map[string]any{
		holders(carelessText(text)),
		holders(carelessBytes(text)),
		holders(carelessArray(array)),
		holders(carelessField{&array}),
		holders(carelessBytes(counting(0x91))),
	}
	noticed := map[string]bool{}
	forms := map[string]bool{}
	for _, printer := range append(printers(), dumpers()...) {
		for _, holders := range careless {
			for name, holder := range holders {
				if noticed[printer.name] && noticed[name] && len(forms) == 4 {
					continue // all that this one could show has been shown
				}
				if form := search(printer.print(holder)); form != "" {
					noticed[printer.name], noticed[name], forms[form] = true, true, true
				}
			}
		}
	}
	for _, printer := range append(printers(), dumpers()...) {
		if !noticed[printer.name] && !showsNoValue(printer.name) {
			t.Errorf("no leak was noticed through %s", printer.name)
		}
	}
	for name := range careless[0] {
		if !noticed[name] && name != "channel" && name != "function" {
			t.Errorf("no leak was noticed in: %s", name)
		}
	}
	for _, form := range []string{"itself", "hexadecimal", "numbers", "base64"} {
		if !forms[form] {
			t.Errorf("no leak was noticed as %s", form)
		}
	}
}

// showsNoValue tells the verb that prints types only.
func showsNoValue(format string) bool {
	return strings.HasPrefix(format, "%") && strings.HasSuffix(format, "T")
}

func TestLeaksAreNoticedInEveryForm(t *testing.T) {
	random := counting(0x91)
	text := textOf(mintOf(t, random))
	search := searchFor(text, random)
	for output, want := range map[string]string{
		"x " + text + " x":                                            "itself",
		"x " + text[20:28] + " x":                                     "itself",
		"x " + text[20:27] + " x":                                     "",
		fmt.Sprintf("%x", text):                                       "hexadecimal",
		fmt.Sprintf("% X", text):                                      "hexadecimal",
		fmt.Sprintf("%# x", text):                                     "hexadecimal",
		fmt.Sprintf("%#v", []byte(text)):                              "hexadecimal",
		fmt.Sprintf("%x", random):                                     "hexadecimal",
		fmt.Sprint([]byte(text)):                                      "numbers",
		fmt.Sprint(random):                                            "numbers",
		strings.ReplaceAll(fmt.Sprint(random), " ", ", "):             "numbers",
		base64.StdEncoding.EncodeToString([]byte(text)):               "base64",
		base64.RawURLEncoding.EncodeToString([]byte("a" + text)):      "base64",
		base64.StdEncoding.EncodeToString([]byte("ab" + text + "cd")): "base64",
		base64.StdEncoding.EncodeToString(random):                     "base64",
		"[redacted]":                        "",
		mintOf(t, random).Digest().String(): "",
	} {
		if got := search(output); got != want {
			t.Errorf("%q: noticed as %q, want %q", output, got, want)
		}
	}
}
