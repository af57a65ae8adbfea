// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

// healthKey is that of the requests between the cases: of an organization that no
// case knows of.
const healthKey = "HEALTH_KEY"

// Keyring has the keys of the corpus. It is the registry of the auth servers that are
// attacked, too.
type Keyring struct {
	*rig.Registry

	keys map[string]string // by the names of their placeholders
}

// NewKeyring mints the keys.
func NewKeyring(t testing.TB) *Keyring {
	t.Helper()
	r := &rig.Registry{}
	return &Keyring{r, map[string]string{
		"KEY":         r.Accept(t, "acme", v1alpha1.ScopeIngest).Plaintext,
		"QUERY_KEY":   r.Accept(t, "acme", v1alpha1.ScopeQuery).Plaintext,
		"NOTES_KEY":   r.Accept(t, "acme", v1alpha1.ScopeAnnotations, v1alpha1.ScopeHeartbeats).Plaintext,
		"OTHER_KEY":   r.Accept(t, "globex").Plaintext,
		healthKey:     r.Accept(t, "initech").Plaintext,
		"UNKNOWN_KEY": rig.Mint(t).Plaintext,
	}}
}

// Find is what a key is worth; nil if nothing.
func (k *Keyring) Find(key string) *registry.Grant {
	digest, err := keys.Parse(key)
	grant, verdict := k.Authenticate(digest)
	if err != nil || verdict != registry.Accepted {
		return nil
	}
	return &grant
}

// Grant is what the key of that name is worth; nil for nobody's.
func (k *Keyring) Grant(name string) *registry.Grant {
	grant := k.Find(k.keys[name])
	if grant == nil && name != nobody {
		panic("no good key is called " + name)
	}
	return grant
}
