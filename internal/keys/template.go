// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// The variables of templates.
const (
	variableAPIKey         = "API_KEY"
	variableAPIKeyID       = "API_KEY_ID"
	variableOrganizationID = "ORGANIZATION_ID"
)

var knownVariables = []string{variableAPIKey, variableAPIKeyID, variableOrganizationID}

const (
	// MaxSecretData is the most that the values of a Secret may take, in bytes.
	// Kubernetes permits twice as much (corev1.MaxSecretSize); the rest is for
	// etcd's own limit on a request, which counts metadata and encoding as well.
	MaxSecretData = 512 << 10

	// maxOrganizationID is the schema's bound on the id that a status records.
	maxOrganizationID = 253
	// maxQuoted bounds what an error quotes of a template, for errors become
	// messages of conditions.
	maxQuoted = 64
)

// ErrTemplate is what every error about templates is, under errors.Is: the person
// who wrote them has to change them, trying again does not help.
var ErrTemplate = errors.New("invalid template")

// ValidateTemplates returns what is wrong with templates, so that it is known before
// a key is minted for them. If it returns nil, SecretData accepts them with every
// organization ID of at most 253 bytes. The error is ErrTemplate under errors.Is,
// and the same one each time.
//
// A template is in the syntax that Kubernetes has for the environment of containers:
//
//	$(NAME)   the value of the variable: API_KEY, API_KEY_ID or ORGANIZATION_ID
//	$$        one $, so that $$(API_KEY) stands for the text $(API_KEY)
//	$         followed by anything else, or by nothing: itself
//
// Unlike there, $(NAME) of an unknown variable and $( without an end are errors: in
// a Secret nobody would see them before the program that reads it fails. No templates
// stand for the default ones.
func ValidateTemplates(templates map[string]string) error {
	entries, err := compile(templates)
	if err != nil {
		return err
	}
	return checkSize(entries, map[string]int{
		variableAPIKey:         Length,
		variableAPIKeyID:       keyIDDigits,
		variableOrganizationID: maxOrganizationID,
	})
}

// entry is one template, read.
type entry struct {
	name  string
	parts []part
}

// part of a template is a literal text, or else a variable.
type part struct {
	literal  string
	variable string
}

// effective returns templates, or the default ones if there are none.
func effective(templates map[string]string) map[string]string {
	if len(templates) > 0 {
		return templates
	}
	return map[string]string{
		"HEXCOVERY_API_KEY":          "$(API_KEY)",
		"OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=$(API_KEY)",
	}
}

// EntryNames returns the names of all entries that SecretData makes of templates.
func EntryNames(templates map[string]string) []string {
	return append(slices.Sorted(maps.Keys(effective(templates))), v1alpha1.SecretKeyAPIKey)
}

// compile reads all templates, in the order of their names: of several errors, the
// same one is reported each time, and a condition's message does not flap.
func compile(templates map[string]string) ([]entry, error) {
	templates = effective(templates)
	entries := make([]entry, 0, len(templates))
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		if name == v1alpha1.SecretKeyAPIKey {
			return nil, fmt.Errorf("%w: entry %s cannot be set: it always holds the key itself", ErrTemplate, name)
		}
		parts, err := split(templates[name])
		if err != nil {
			return nil, fmt.Errorf("%w: entry %s: %w", ErrTemplate, quote(name), err)
		}
		entries = append(entries, entry{name: name, parts: parts})
	}
	return entries, nil
}

// split reads one template.
func split(template string) ([]part, error) {
	var parts []part
	for template != "" {
		dollar := strings.IndexByte(template, '$')
		if dollar < 0 || dollar == len(template)-1 {
			return append(parts, part{literal: template}), nil
		}
		switch rest := template[dollar+1:]; rest[0] {
		case '$': // the text with the first $, without the second
			parts = append(parts, part{literal: template[:dollar+1]})
			template = rest[1:]
		case '(':
			name, after, closed := strings.Cut(rest[1:], ")")
			if !closed {
				return nil, errors.New("$( has no closing parenthesis; write $$( for the text itself")
			}
			if !slices.Contains(knownVariables, name) {
				return nil, fmt.Errorf("unknown variable %s; known are %s",
					quote(name), strings.Join(knownVariables, ", "))
			}
			parts = append(parts, part{literal: template[:dollar]}, part{variable: name})
			template = after
		default:
			parts = append(parts, part{literal: template[:dollar+1]})
			template = rest
		}
	}
	return parts, nil
}

// quote returns text as an error may show it: on one line, and bounded.
func quote(text string) string {
	if len(text) > maxQuoted {
		return fmt.Sprintf("%q…", text[:maxQuoted])
	}
	return fmt.Sprintf("%q", text)
}

// checkSize returns an error if entries take too much, with api-key and with
// variables of the given lengths.
func checkSize(entries []entry, lengths map[string]int) error {
	total := Length
	for _, e := range entries {
		total += e.size(lengths)
	}
	if total > MaxSecretData {
		return fmt.Errorf("%w: the entries take up to %d bytes together, the limit is %d",
			ErrTemplate, total, MaxSecretData)
	}
	return nil
}

// size is the length of what expand returns for values of the given lengths.
func (e entry) size(lengths map[string]int) int {
	var n int
	for _, p := range e.parts {
		// Of the two, one is empty; no variable has the empty name.
		n += len(p.literal) + lengths[p.variable]
	}
	return n
}

// expand returns the text of e, each variable replaced by its value, once: what looks
// like a variable in a value stays as it is. size is what e.size says, so that no
// half-grown copies of the key are left behind.
func (e entry) expand(values map[string][]byte, size int) []byte {
	text := make([]byte, 0, size)
	for _, p := range e.parts {
		text = append(text, p.literal...)
		text = append(text, values[p.variable]...)
	}
	return text
}
