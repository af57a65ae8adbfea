// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"maps"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

// Keyring has the keys of the corpus, by the names of their placeholders. It is the
// registry of the auth servers that are attacked, too.
type Keyring struct {
	grants map[string]registry.Grant // by name
	values map[string]string         // by name
	names  map[keys.Digest]string
}

// healthKey is that of the requests between the cases: of an organization that no
// case knows of.
const healthKey = "HEALTH_KEY"

// NewKeyring mints the keys.
func NewKeyring() (*Keyring, error) {
	k := &Keyring{grants: map[string]registry.Grant{}, values: map[string]string{}, names: map[keys.Digest]string{}}
	all := v1alpha1.AllScopes()
	for name, grant := range map[string]registry.Grant{
		"KEY":       {Organization: "acme", Namespace: "team-acme", Name: "agent", Scopes: scope.Of(v1alpha1.ScopeIngest)},
		"QUERY_KEY": {Organization: "acme", Namespace: "team-acme", Name: "query", Scopes: scope.Of(v1alpha1.ScopeQuery)},
		"NOTES_KEY": {Organization: "acme", Namespace: "team-acme", Name: "notes", Scopes: scope.Of(v1alpha1.ScopeAnnotations, v1alpha1.ScopeHeartbeats)},
		"OTHER_KEY": {Organization: "globex", Namespace: "team-globex", Name: "agent", Scopes: scope.Of(all...)},
		healthKey:   {Organization: "initech", Namespace: "team-initech", Name: "health", Scopes: scope.Of(all...)},
		// Never issued: no grant.
		"UNKNOWN_KEY": {},
	} {
		plaintext, err := keys.Mint()
		if err != nil {
			return nil, err
		}
		data, err := plaintext.SecretData(nil, keys.Variables{})
		if err != nil {
			return nil, err
		}
		k.values[name] = string(data["api-key"])
		if grant.Organization != "" {
			grant.KeyID = plaintext.Digest().KeyID()
			k.grants[name], k.names[plaintext.Digest()] = grant, name
		}
	}
	return k, nil
}

// Grant is what the key of that name is worth.
func (k *Keyring) Grant(name string) (registry.Grant, bool) {
	grant, ok := k.grants[name]
	return grant, ok
}

// Find is what a key is worth.
func (k *Keyring) Find(key string) (registry.Grant, bool) {
	digest, err := keys.Parse(key)
	if err != nil {
		return registry.Grant{}, false
	}
	grant, ok := k.grants[k.names[digest]]
	return grant, ok
}

// Authenticate makes it a registry.
func (k *Keyring) Authenticate(digest keys.Digest) (registry.Grant, registry.Verdict) {
	if grant, ok := k.grants[k.names[digest]]; ok {
		return grant, registry.Accepted
	}
	return registry.Grant{}, registry.Unknown
}

// Ready makes it a registry.
func (k *Keyring) Ready() bool { return true }

// placeholders are the values to put in.
func (k *Keyring) placeholders(address string) map[string]string {
	values := map[string]string{"HOST": address}
	maps.Copy(values, k.values)
	return values
}
