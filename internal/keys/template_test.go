// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTemplatesExpand(t *testing.T) {
	p := mintOf(t, counting(0))
	key, id := textOf(p), p.Digest().KeyID()
	for template, want := range map[string]string{
		"":                         "",
		"plain":                    "plain",
		"$(API_KEY)":               key,
		"$(API_KEY_ID)":            id,
		"$(ORGANIZATION_ID)":       "acme",
		"x-api-key=$(API_KEY)":     "x-api-key=" + key,
		"$(API_KEY)$(API_KEY)":     key + key,
		"a$(API_KEY_ID)b":          "a" + id + "b",
		"$$(API_KEY)":              "$(API_KEY)",
		"$$$(API_KEY)":             "$" + key,
		"$$$$(API_KEY)":            "$$(API_KEY)",
		"$$":                       "$",
		"$$$":                      "$$",
		"$":                        "$",
		"a$":                       "a$",
		"$a":                       "$a",
		"$ (API_KEY)":              "$ (API_KEY)",
		"${API_KEY}":               "${API_KEY}",
		"$API_KEY":                 "$API_KEY",
		"(API_KEY)":                "(API_KEY)",
		"$(API_KEY))":              key + ")",
		"é$(API_KEY_ID)\n\x00\xff": "é" + id + "\n\x00\xff",
	} {
		data, err := p.SecretData(map[string]string{"entry": template}, Variables{OrganizationID: "acme"})
		if err != nil {
			t.Errorf("%q: %v", template, err)
			continue
		}
		if got := string(data["entry"]); got != want {
			t.Errorf("%q: got %q, want %q", template, got, want)
		}
	}
}

func TestTemplatesExpandOnce(t *testing.T) {
	p := mintOf(t, counting(0))
	data, err := p.SecretData(map[string]string{"entry": "$(ORGANIZATION_ID)"}, Variables{OrganizationID: "$(API_KEY)$$"})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(data["entry"]); got != "$(API_KEY)$$" {
		t.Errorf("a value was expanded: %q", got)
	}
}

// long is longer than errors quote.
var long = strings.Repeat("x", 1000)

// refusedTemplates are templates with the whole error that each has to give.
var refusedTemplates = map[string]struct {
	templates map[string]string
	want      string
}{
	"unknown variable": {
		map[string]string{"TOKEN": "Bearer $(API_TOKEN)"},
		`invalid template: entry "TOKEN": unknown variable "API_TOKEN"; known are API_KEY, API_KEY_ID, ORGANIZATION_ID`,
	},
	"no name": {
		map[string]string{"TOKEN": "$()"},
		`invalid template: entry "TOKEN": unknown variable ""; known are API_KEY, API_KEY_ID, ORGANIZATION_ID`,
	},
	"other case": {
		map[string]string{"TOKEN": "$(api_key)"},
		`invalid template: entry "TOKEN": unknown variable "api_key"; known are API_KEY, API_KEY_ID, ORGANIZATION_ID`,
	},
	"blank in the name": {
		map[string]string{"TOKEN": "$( API_KEY)"},
		`invalid template: entry "TOKEN": unknown variable " API_KEY"; known are API_KEY, API_KEY_ID, ORGANIZATION_ID`,
	},
	"nested": {
		map[string]string{"TOKEN": "$($(API_KEY))"},
		`invalid template: entry "TOKEN": unknown variable "$(API_KEY"; known are API_KEY, API_KEY_ID, ORGANIZATION_ID`,
	},
	"long name": {
		map[string]string{long: "$(" + long + ")"},
		`invalid template: entry "` + long[:64] + `"…: unknown variable "` + long[:64] + `"…; known are API_KEY, API_KEY_ID, ORGANIZATION_ID`,
	},
	"no end": {
		map[string]string{"TOKEN": "a$(API_KEY"},
		`invalid template: entry "TOKEN": $( has no closing parenthesis; write $$( for the text itself`,
	},
	"begin alone": {
		map[string]string{"TOKEN": "$("},
		`invalid template: entry "TOKEN": $( has no closing parenthesis; write $$( for the text itself`,
	},
	"the key's own entry": {
		map[string]string{"api-key": "$(API_KEY)"},
		`invalid template: entry api-key cannot be set: it always holds the key itself`,
	},
	"the first of several, by name": {
		map[string]string{"b": "$(B)", "d": "$(D)", "c": "$(C)", "e": "$(E)", "a": "fine"},
		`invalid template: entry "b": unknown variable "B"; known are API_KEY, API_KEY_ID, ORGANIZATION_ID`,
	},
}

func TestTemplatesAreRefused(t *testing.T) {
	for name, tc := range refusedTemplates {
		t.Run(name, func(t *testing.T) {
			data, rendering := mintOf(t, counting(0)).SecretData(tc.templates, Variables{})
			if data != nil {
				t.Error("data in spite of the error")
			}
			all := []error{rendering}
			for range 10 { // the order of a map is another each time
				all = append(all, ValidateTemplates(tc.templates))
			}
			for _, err := range all {
				if err == nil || err.Error() != tc.want {
					t.Errorf("got  %v\nwant %s", err, tc.want)
				}
				if !errors.Is(err, ErrTemplate) {
					t.Error("the error is not ErrTemplate")
				}
			}
		})
	}
}

func TestTemplatesAreBounded(t *testing.T) {
	p := mintOf(t, counting(0))
	room := MaxSecretData - Length // what api-key leaves
	for name, tc := range map[string]struct {
		templates     map[string]string
		organization  string
		validates, ok bool
	}{
		"just fits":           {map[string]string{"a": strings.Repeat("x", room)}, "", true, true},
		"one byte too many":   {map[string]string{"a": strings.Repeat("x", room+1)}, "", false, false},
		"too many in two":     {map[string]string{"a": strings.Repeat("x", room), "b": "x"}, "", false, false},
		"escapes count once":  {map[string]string{"a": strings.Repeat("$$", room)}, "", true, true},
		"keys just fit":       {map[string]string{"a": strings.Repeat("$(API_KEY)", room/Length)}, "", true, true},
		"one key too many":    {map[string]string{"a": strings.Repeat("$(API_KEY)", room/Length+1)}, "", false, false},
		"IDs just fit":        {map[string]string{"a": strings.Repeat("$(API_KEY_ID)", room/12)}, "", true, true},
		"one ID too many":     {map[string]string{"a": strings.Repeat("$(API_KEY_ID)", room/12+1)}, "", false, false},
		"short organization":  {map[string]string{"a": strings.Repeat("$(ORGANIZATION_ID)", room/253+1)}, "o", false, true},
		"long organization":   {map[string]string{"a": strings.Repeat("$(ORGANIZATION_ID)", room/253+1)}, strings.Repeat("o", 253), false, false},
		"organization fits":   {map[string]string{"a": strings.Repeat("$(ORGANIZATION_ID)", room/253)}, strings.Repeat("o", 253), true, true},
		"organization absurd": {map[string]string{"a": "$(ORGANIZATION_ID)"}, strings.Repeat("o", room+1), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := ValidateTemplates(tc.templates)
			if (err == nil) != tc.validates || err != nil && !errors.Is(err, ErrTemplate) {
				t.Errorf("ValidateTemplates: %v", err)
			}
			data, err := p.SecretData(tc.templates, Variables{OrganizationID: tc.organization})
			if (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrTemplate) {
				t.Errorf("SecretData: %v", err)
			}
			if total := totalSize(data); total > MaxSecretData {
				t.Errorf("%d bytes came out", total)
			}
		})
	}
}

func totalSize(data map[string][]byte) int {
	var total int
	for _, value := range data {
		total += len(value)
	}
	return total
}

func TestExpandedValuesHoldNoSpareCopies(t *testing.T) {
	data, err := mintOf(t, counting(0)).SecretData(map[string]string{"a": "$$x$(API_KEY)-$(API_KEY_ID)$y"}, Variables{})
	if err != nil {
		t.Fatal(err)
	}
	if extra := cap(data["a"]) - len(data["a"]); extra > 16 { // the allocator rounds up
		t.Errorf("%d bytes more than needed: the text was grown, and left behind copies of the key", extra)
	}
}

// expansion is Kubernetes' syntax once more, in another way.
var expansion = regexp.MustCompile(`(?s)\$\$|\$\([^)]*\)|\$\(`)

// FuzzExpand: every template is either refused by both functions, or expands to what
// the rules of ValidateTemplates say.
func FuzzExpand(f *testing.F) {
	for _, template := range []string{
		"", "plain", "$", "$$", "$(", "$()", "$(API_KEY)", "$$(API_KEY)", "$$$(API_KEY_ID)$", "$(ORGANIZATION_ID)$(FOO)", "$($(API_KEY))", "a$b$(API_KEY)\xff",
	} {
		f.Add(template, "acme")
	}
	p := mintOf(f, counting(0))
	values := map[string]string{
		"$$": "$", "$(API_KEY)": textOf(p), "$(API_KEY_ID)": p.Digest().KeyID(),
	}
	f.Fuzz(func(t *testing.T, template, organization string) {
		if len(template) > 16384 || len(organization) > maxOrganizationID {
			return // the schema's bounds
		}
		values := maps.Clone(values)
		values["$(ORGANIZATION_ID)"] = organization
		known := true
		want := expansion.ReplaceAllStringFunc(template, func(match string) string {
			value, ok := values[match]
			known = known && ok
			return value
		})
		templates := map[string]string{"entry": template}
		invalid := ValidateTemplates(templates)
		data, err := p.SecretData(templates, Variables{OrganizationID: organization})
		switch {
		case invalid == nil && err != nil:
			t.Errorf("%q validates, and then is refused: %v", template, err)
		case err == nil && (!known || string(data["entry"]) != want):
			t.Errorf("%q: got %q, want %q", template, data["entry"], want)
		case err != nil && known && totalSize(data) < MaxSecretData && len(want) < MaxSecretData/2:
			t.Errorf("%q is refused: %v", template, err)
		case err != nil && !errors.Is(err, ErrTemplate):
			t.Errorf("%q: %v", template, err)
		}
		escaped := map[string]string{"entry": strings.ReplaceAll(template, "$", "$$")}
		if data, err := p.SecretData(escaped, Variables{}); err != nil || string(data["entry"]) != template {
			t.Errorf("%q escaped: %q, %v", template, data["entry"], err)
		}
	})
}

func TestKnownVariablesAllHaveValues(t *testing.T) {
	p := mintOf(t, counting(0))
	for _, name := range knownVariables {
		data, err := p.SecretData(map[string]string{"entry": "$(" + name + ")"}, Variables{OrganizationID: "acme"})
		if err != nil || len(data["entry"]) == 0 {
			t.Errorf("%s: %q, %v", name, data["entry"], err)
		}
	}
	if !slices.IsSorted(knownVariables) {
		t.Error("messages list them in the order given, which should be that of names")
	}
}
