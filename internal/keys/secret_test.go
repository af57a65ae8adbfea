// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func TestSecretDataByDefault(t *testing.T) {
	p := mintOf(t, counting(0))
	for name, templates := range map[string]map[string]string{"nil": nil, "empty": {}} {
		data, err := p.SecretData(templates, Variables{OrganizationID: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string][]byte{
			"api-key":                    []byte(textOf(p)),
			"HEXCOVERY_API_KEY":          []byte(textOf(p)),
			"OTEL_EXPORTER_OTLP_HEADERS": []byte("x-api-key=" + textOf(p)),
		}
		if !maps.EqualFunc(data, want, bytes.Equal) {
			t.Errorf("%s templates: got %q", name, data)
		}
	}
}

func TestSecretDataOfTemplatesAlwaysHasTheKey(t *testing.T) {
	p := mintOf(t, counting(0))
	data, err := p.SecretData(map[string]string{"config.yaml": "org: $(ORGANIZATION_ID)"}, Variables{OrganizationID: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{
		v1alpha1.SecretKeyAPIKey: []byte(textOf(p)),
		"config.yaml":            []byte("org: acme"),
	}
	if !maps.EqualFunc(data, want, bytes.Equal) {
		t.Errorf("got %q", data)
	}
}

func TestSecretDataOfNoKey(t *testing.T) {
	if data, err := (Plaintext{}).SecretData(nil, Variables{}); err == nil || data != nil {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestSecretDataIsTheCallersOwn(t *testing.T) {
	p := mintOf(t, counting(0))
	before := textOf(p)
	data, err := p.SecretData(map[string]string{"copy": "$(API_KEY)"}, Variables{})
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range data {
		clear(value)
	}
	if textOf(p) != before {
		t.Error("changing the data changed the key")
	}
}

func TestFromSecretDataTakesTheKeyBack(t *testing.T) {
	p := mintOf(t, counting(0))
	data, err := p.SecretData(nil, Variables{})
	if err != nil {
		t.Fatal(err)
	}
	back, err := FromSecretData(data, p.Digest())
	if err != nil {
		t.Fatal(err)
	}
	clear(data[v1alpha1.SecretKeyAPIKey])
	if !back.Equal(p) {
		t.Error("it is not the same key, or shares its bytes with the data")
	}
}

func TestFromSecretDataRefuses(t *testing.T) {
	p, stranger := mintOf(t, counting(0)), mintOf(t, counting(1))
	key := []byte(textOf(p))
	bad := slices.Clone(key)
	bad[20] = other(bad[20])[0]
	for name, tc := range map[string]struct {
		data      map[string][]byte
		want      Digest
		malformed bool
	}{
		"nothing":                     {nil, p.Digest(), false},
		"no api-key":                  {map[string][]byte{"HEXCOVERY_API_KEY": key}, p.Digest(), false},
		"empty":                       {map[string][]byte{"api-key": nil}, p.Digest(), true},
		"a newline more":              {map[string][]byte{"api-key": append(slices.Clone(key), '\n')}, p.Digest(), true},
		"a character changed":         {map[string][]byte{"api-key": bad}, p.Digest(), true},
		"not a key, though as wanted": {map[string][]byte{"api-key": bad}, sha256.Sum256(bad), true},
		"another key":                 {map[string][]byte{"api-key": []byte(textOf(stranger))}, p.Digest(), false},
		"wanted by no digest":         {map[string][]byte{"api-key": key}, Digest{}, false},
	} {
		got, err := FromSecretData(tc.data, tc.want)
		if err == nil || !got.IsZero() {
			t.Errorf("%s: accepted", name)
			continue
		}
		if errors.Is(err, ErrMalformed) != tc.malformed {
			t.Errorf("%s: %v", name, err)
		}
		for _, value := range tc.data {
			if len(value) > 0 && strings.Contains(err.Error(), string(value)) {
				t.Errorf("%s: the error tells what is there", name)
			}
		}
	}
}

func BenchmarkSecretData(b *testing.B) {
	p := mintOf(b, counting(0))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.SecretData(nil, Variables{OrganizationID: "acme"}); err != nil {
			b.Fatal(err)
		}
	}
}
