// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"sync"
	"sync/atomic"
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

// Registry knows the keys that it was told, at once. Its zero value knows none.
type Registry struct {
	known sync.Map // from keys.Digest to judgement
	blind atomic.Bool
}

type judgement struct {
	grant   registry.Grant
	verdict registry.Verdict
}

// Authenticate is what the auth server calls.
func (r *Registry) Authenticate(digest keys.Digest) (registry.Grant, registry.Verdict) {
	if r.blind.Load() {
		return registry.Grant{}, registry.Undecided
	}
	if known, ok := r.known.Load(digest); ok {
		return known.(judgement).grant, known.(judgement).verdict
	}
	return registry.Grant{}, registry.Unknown
}

// Ready is what the auth server's probe asks.
func (r *Registry) Ready() bool { return !r.blind.Load() }

// Blind has the registry be unable to decide about anything, or able again.
func (r *Registry) Blind(blind bool) { r.blind.Store(blind) }

// Accept mints a key of the organization. Without scopes it has all.
func (r *Registry) Accept(t testing.TB, organization string, scopes ...v1alpha1.Scope) Key {
	t.Helper()
	if len(scopes) == 0 {
		scopes = v1alpha1.AllScopes()
	}
	key := Mint(t)
	key.ID, key.Name, key.Organization = key.digest.KeyID(), "team-"+organization+"/prod-agent", organization
	r.known.Store(key.digest, judgement{verdict: registry.Accepted, grant: registry.Grant{
		KeyID: key.ID, Namespace: "team-" + organization, Name: "prod-agent", Organization: organization, Scopes: scope.Of(scopes...),
	}})
	return key
}

// Judged mints a key about which the registry says something else.
func (r *Registry) Judged(t testing.TB, verdict registry.Verdict) Key {
	t.Helper()
	key := Mint(t)
	r.known.Store(key.digest, judgement{verdict: verdict})
	return key
}

// Revoke has the registry know the key no longer.
func (r *Registry) Revoke(key Key) { r.known.Delete(key.digest) }

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
