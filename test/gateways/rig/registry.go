// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"sync"
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

// Key is a key and what the upstream is to be told about who uses it.
type Key struct {
	// Plaintext is what a client sends in X-API-Key.
	Plaintext string
	// ID, Name and Organization are what upstreams are told.
	ID, Name, Organization string

	digest keys.Digest
}

// Registry knows the keys that it was told, at once.
type Registry struct {
	mu    sync.RWMutex
	known map[keys.Digest]judgement
	blind bool
}

type judgement struct {
	grant   registry.Grant
	verdict registry.Verdict
}

// NewRegistry returns one that knows nothing.
func NewRegistry() *Registry { return &Registry{known: map[keys.Digest]judgement{}} }

// Authenticate is what the auth server calls.
func (r *Registry) Authenticate(digest keys.Digest) (registry.Grant, registry.Verdict) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.blind {
		return registry.Grant{}, registry.Undecided
	}
	if of, ok := r.known[digest]; ok {
		return of.grant, of.verdict
	}
	return registry.Grant{}, registry.Unknown
}

// Ready is what the auth server's probe asks.
func (r *Registry) Ready() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return !r.blind
}

// Blind has the registry be unable to decide about anything, or able again.
func (r *Registry) Blind(blind bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blind = blind
}

// Accept mints a key of the organization. Without scopes it has all.
func (r *Registry) Accept(t testing.TB, organization string, scopes ...v1alpha1.Scope) Key {
	t.Helper()
	if len(scopes) == 0 {
		scopes = v1alpha1.AllScopes()
	}
	key := Mint(t)
	key.ID, key.Name, key.Organization = key.digest.KeyID(), "team-"+organization+"/prod-agent", organization
	r.learn(key, judgement{verdict: registry.Accepted, grant: registry.Grant{
		KeyID: key.ID, Namespace: "team-" + organization, Name: "prod-agent", Organization: organization, Scopes: scope.Of(scopes...),
	}})
	return key
}

// Judged mints a key about which the registry says something else.
func (r *Registry) Judged(t testing.TB, verdict registry.Verdict) Key {
	t.Helper()
	key := Mint(t)
	r.learn(key, judgement{verdict: verdict})
	return key
}

func (r *Registry) learn(key Key, of judgement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[key.digest] = of
}

// Revoke has the registry know the key no longer.
func (r *Registry) Revoke(key Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key.digest)
}

// Mint makes a key that no registry knows.
func Mint(t testing.TB) Key {
	t.Helper()
	plaintext, err := keys.Mint()
	if err != nil {
		t.Fatal(err)
	}
	data, err := plaintext.SecretData(nil, keys.Variables{})
	if err != nil {
		t.Fatal(err)
	}
	return Key{Plaintext: string(data["api-key"]), digest: plaintext.Digest()}
}
