// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

const (
	// patience is how long a request waits for a key that is not known yet.
	patience = 2 * time.Second
	// maxWaiting is how many requests do so at a time. The others are Undecided at
	// once: a flood of made-up key IDs must not become a heap of requests that wait.
	maxWaiting = 64
	// maxAge is how long keys are believed that could not be fetched again: the issuer
	// may have withdrawn one since.
	maxAge = time.Hour
)

// knowledge is what is known of the issuer's keys between two attempts to fetch them.
type knowledge struct {
	// keys are those of the last attempt that succeeded, asOf the time at which it
	// began, and attempt its number; 0 if there was none.
	keys    []jose.JSONWebKey
	asOf    time.Time
	attempt uint64

	// failed says that the last attempt did not succeed.
	failed bool
	// earliest is before when there will be no other attempt.
	earliest time.Time
	// next is closed when the next attempt has ended.
	next chan struct{}
}

func (k *knowledge) usable(now time.Time) bool {
	return k.attempt > 0 && now.Sub(k.asOf) <= maxAge
}

// find returns the keys that a token may be signed with, and whether the one that it
// names is known.
func (k *knowledge) find(header *jose.Header) (keys []jose.JSONWebKey, known bool) {
	for _, key := range k.keys {
		if key.KeyID != header.KeyID {
			continue
		}
		known = true
		if key.Algorithm == "" || key.Algorithm == header.Algorithm {
			keys = append(keys, key)
		}
	}
	return keys, known
}

// findKeys returns the keys that a token may be signed with, if the Verdict is
// Accepted.
//
// Which key it is a token says itself, before anything of it is known to be true, so
// a client can name keys that never were. Asking the issuer for each of them would
// let any client flood the issuer; not asking would refuse whoever comes with a key
// that is new. So it is asked, at a bounded rate, and a request waits for that as
// long as its patience lasts.
func (v *Verifier) findKeys(ctx context.Context, jws *jose.JSONWebSignature) ([]jose.JSONWebKey, Verdict) {
	header := &jws.Signatures[0].Protected
	if header.KeyID == "" {
		return nil, Malformed // which of the keys is meant would be a guess
	}
	c, ok := readClaims(jws.UnsafePayloadWithoutVerification(), v.organizationClaim)
	if !ok {
		return nil, Malformed
	}
	issued, ok := c.time("iat")
	if !ok {
		return nil, Malformed // OpenID Connect Core 1.0, section 2: REQUIRED
	}
	begun := v.begun.Load()
	known := v.keys.Load()
	keys, verdict := v.look(known, header, issued, begun)
	if verdict != Undecided {
		return keys, verdict
	}
	if !known.usable(v.clock.Now()) {
		v.want()
		return nil, Undecided
	}

	select {
	case v.waiting <- struct{}{}:
		defer func() { <-v.waiting }()
	default:
		return nil, Undecided
	}
	timer := v.clock.NewTimer(patience)
	defer timer.Stop()
	for deadline := v.clock.Now().Add(patience); !known.earliest.After(deadline); {
		v.want()
		select {
		case <-known.next:
		case <-timer.C():
			return nil, Undecided
		case <-ctx.Done():
			return nil, Undecided
		}
		known = v.keys.Load()
		if keys, verdict := v.look(known, header, issued, begun); verdict != Undecided || known.failed {
			return keys, verdict
		}
	}
	v.want() // for whoever comes after
	return nil, Undecided
}

// look says what can be said by what is known: Accepted with the keys, or that there
// is no such key, if that is certain. It is if they were fetched in an attempt that
// began after the request had come, or after the token was issued by its own account:
// an issuer publishes a key before it signs with it. (Who lies about that chooses
// only how to be refused.)
func (v *Verifier) look(known *knowledge, header *jose.Header, issued time.Time, begun uint64) ([]jose.JSONWebKey, Verdict) {
	if !known.usable(v.clock.Now()) {
		return nil, Undecided
	}
	keys, found := known.find(header)
	switch {
	case len(keys) > 0:
		return keys, Accepted
	case found, known.attempt > begun, issued.Add(v.skew).Before(known.asOf):
		return nil, Untrusted
	default:
		return nil, Undecided
	}
}

// want asks for an attempt as soon as there may be one.
func (v *Verifier) want() {
	select {
	case v.wanted <- struct{}{}:
	default: // somebody has asked already
	}
}
