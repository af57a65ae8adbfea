// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// Variables are the values that templates may use beside those of the key itself.
type Variables struct {
	// OrganizationID is what upstreams know the organization by: $(ORGANIZATION_ID).
	OrganizationID string
}

// SecretData returns the data of the Secret that holds p: api-key, which is the key
// itself, and each template expanded as ValidateTemplates describes. It is a way out of
// a Plaintext, and its result must go nowhere but into that Secret.
//
// An error is ErrTemplate under errors.Is, unless p is zero.
func (p Plaintext) SecretData(templates map[string]string, vars Variables) (map[string][]byte, error) {
	if p.IsZero() {
		return nil, errNoKey
	}
	entries, err := compile(templates)
	if err != nil {
		return nil, err
	}
	values := map[string][]byte{
		variableAPIKey:         p.reveal()[:],
		variableAPIKeyID:       []byte(p.Digest().KeyID()),
		variableOrganizationID: []byte(vars.OrganizationID),
	}
	lengths := make(map[string]int, len(values))
	for name, value := range values {
		lengths[name] = len(value)
	}
	if err := checkSize(entries, lengths); err != nil {
		return nil, err
	}
	data := make(map[string][]byte, 1+len(entries))
	for _, e := range entries {
		data[e.name] = e.expand(values, e.size(lengths))
	}
	data[v1alpha1.SecretKeyAPIKey] = slices.Clone(p.reveal()[:])
	return data, nil
}

// KeyData returns the data of a Secret that holds p as api-key, and nothing else. The same
// holds for it.
func (p Plaintext) KeyData() map[string][]byte {
	return map[string][]byte{v1alpha1.SecretKeyAPIKey: slices.Clone(p.reveal()[:])}
}

// FromSecretData takes a key back out of a Secret's data, so that it can be written in
// another form, or into another Secret, without a new key. It accepts no key but the one
// whose digest is want: whoever may edit the Secret does not thereby choose a key.
//
// An error says what api-key holds instead, and is ErrMalformed under errors.Is if that
// is not a key at all. It contains a key ID at most.
func FromSecretData(data map[string][]byte, want Digest) (Plaintext, error) {
	const name = v1alpha1.SecretKeyAPIKey
	value, ok := data[name]
	if !ok {
		return Plaintext{}, errors.New("the secret has no entry " + name)
	}
	if len(value) != Length {
		return Plaintext{}, fmt.Errorf("entry %s: %w", name, ErrLength)
	}
	// A copy: the caller may redact or reuse data afterwards.
	key := new([Length]byte)
	copy(key[:], value)
	if err := check(key); err != nil {
		return Plaintext{}, fmt.Errorf("entry %s: %w", name, err)
	}
	p := conceal(key)
	if got := p.Digest(); got != want {
		return Plaintext{}, fmt.Errorf("entry %s: holds key %s instead of %s", name, got.KeyID(), want.KeyID())
	}
	return p, nil
}
