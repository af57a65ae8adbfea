// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/sha256"
	"maps"
	"strings"
	"testing"
)

func TestRedactSecretData(t *testing.T) {
	original := map[string][]byte{"api-key": []byte("value"), "empty": {}, "nil": nil}
	data := maps.Clone(original)
	RedactSecretData(data)
	for name, value := range original {
		if want := sha256.Sum256(value); string(data[name]) != string(want[:]) {
			t.Errorf("%s: %x", name, data[name])
		}
	}
	if len(data) != len(original) {
		t.Errorf("entries were added or lost: %v", data)
	}
	if string(original["api-key"]) != "value" {
		t.Error("the bytes that the clone shared were changed")
	}
	RedactSecretData(nil)
}

// distinct fails if two of the digests are the same, or one is not 64 digits.
func distinct(t *testing.T, digests map[string]string) {
	t.Helper()
	names := map[string]string{}
	for name, digest := range digests {
		if len(digest) != 64 || strings.Trim(digest, "0123456789abcdef") != "" {
			t.Errorf("%s: %q", name, digest)
		}
		if twin, ok := names[digest]; ok {
			t.Errorf("%s and %s have the same digest", name, twin)
		}
		names[digest] = name
	}
}

func TestDataDigestTellsDataApart(t *testing.T) {
	digests := map[string]string{}
	for name, data := range map[string]map[string]string{
		"empty":               {},
		"one":                 {"a": "1"},
		"other value":         {"a": "2"},
		"other name":          {"b": "1"},
		"two":                 {"a": "1", "b": "2"},
		"two, swapped":        {"a": "2", "b": "1"},
		"empty value":         {"a": ""},
		"name with the value": {"a1": ""},
		"two empty":           {"a": "", "b": ""},
		"one name of two":     {"ab": ""},
	} {
		redacted := map[string][]byte{}
		for entry, value := range data {
			redacted[entry] = []byte(value)
		}
		RedactSecretData(redacted)
		digests[name] = DataDigest(redacted)
		for range 10 { // the order of a map is another each time
			if again := DataDigest(maps.Clone(redacted)); again != digests[name] {
				t.Errorf("%s: not the same twice", name)
			}
		}
	}
	distinct(t, digests)
	if DataDigest(nil) != digests["empty"] {
		t.Error("no data and empty data differ; Kubernetes does not tell them apart")
	}
}

func TestTemplateDigestTellsTemplatesApart(t *testing.T) {
	distinct(t, map[string]string{
		"default":             TemplateDigest(nil, Variables{}),
		"default, of acme":    TemplateDigest(nil, Variables{OrganizationID: "acme"}),
		"one":                 TemplateDigest(map[string]string{"a": "1"}, Variables{}),
		"other text":          TemplateDigest(map[string]string{"a": "2"}, Variables{}),
		"other name":          TemplateDigest(map[string]string{"b": "1"}, Variables{}),
		"two":                 TemplateDigest(map[string]string{"a": "1", "b": "2"}, Variables{}),
		"moved to the id":     TemplateDigest(map[string]string{"b": "2"}, Variables{OrganizationID: "a1"}),
		"moved to the name":   TemplateDigest(map[string]string{"a1": "", "b": "2"}, Variables{}),
		"moved to the text":   TemplateDigest(map[string]string{"a": "1b2"}, Variables{}),
		"moved between texts": TemplateDigest(map[string]string{"a": "", "b": "12"}, Variables{}),
		"of no data":          DataDigest(nil),
	})
}

func TestTemplateDigestOfTheDefaultIsThatOfItsSpelling(t *testing.T) {
	spelled := map[string]string{
		"HEXCOVERY_API_KEY":          "$(API_KEY)",
		"OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=$(API_KEY)",
	}
	for name, templates := range map[string]map[string]string{"nil": nil, "empty": {}} {
		if TemplateDigest(templates, Variables{}) != TemplateDigest(spelled, Variables{}) {
			t.Errorf("%s: a Secret would be written again, or not, without a reason", name)
		}
	}
}

// Both digests stand in annotations of Secrets: if one changes with a release, every
// Secret of every cluster looks edited by hand, and its key is revoked.
func TestDigestsStayTheSameBetweenReleases(t *testing.T) {
	data, err := mintOf(t, counting(0)).SecretData(nil, Variables{OrganizationID: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	RedactSecretData(data)
	if got, want := DataDigest(data), "c1443d8ba8d3508d4fb4ea7ba1aa7bcc9bda3c416cc9309832c75f6a8db4f366"; got != want {
		t.Errorf("DataDigest is %s", got)
	}
	if got, want := TemplateDigest(nil, Variables{OrganizationID: "acme"}), "81f0950a30fbebb9b53cd5ea1dd75249eb18dea4c028d25251d12d9828619d74"; got != want {
		t.Errorf("TemplateDigest is %s", got)
	}
}
