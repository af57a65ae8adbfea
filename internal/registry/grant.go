// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"github.com/hexcovery/apikey-operator/internal/scope"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// Grant is what an accepted key may do, and in whose name. Of an expired key it has the
// name and where it was issued: no scopes, and no counter.
type Grant struct {
	// KeyID is the first 12 hexadecimal digits of the key's SHA-256.
	KeyID string
	// Namespace and Name are the APIKey's.
	Namespace, Name string
	// Organization is the id that upstreams know the organization by.
	Organization string
	// Scopes is what the key may reach: its own scopes, as far as its
	// organization has them.
	Scopes scope.Set
	// Imported: the key was issued elsewhere. Its form need not be that of a key of
	// package keys, and a key of any other form is accepted only if this is set.
	Imported bool
	// ForeignOnly: the key may be accepted only in a form that package keys does not mint.
	ForeignOnly bool
	// Counter counts the requests that bore the key; nil if nobody counts.
	Counter *usage.Counter
}

// Verdict is the answer about one key. Its zero value is the safe one.
type Verdict uint8

const (
	// Undecided: this replica cannot say. It is joining, fenced, or has not
	// heard from the API server lately and does not know the key.
	Undecided Verdict = iota
	// Accepted: the key is good, and the Grant says for what.
	Accepted
	// Unknown: no key of that hash is accepted, and that is certain.
	Unknown
	// Expired: the key's expirationTime, ttl or the organization's maxKeyAge has passed. The
	// Grant says whose it was, for those who keep a record of that.
	Expired
)
