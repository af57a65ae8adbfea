// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what prints in place of a key.
const redacted = "[redacted]"

// ErrMarshal is returned by every attempt to marshal a Plaintext. An error and not
// a placeholder: a log line may do without the field, but an object that is stored
// with "[redacted]" for a key has lost the key and looks as if it had not.
var ErrMarshal = errors.New("a plaintext key is not to be marshalled")

var errNoKey = errors.New("there is no key in the plaintext")

// Plaintext is a key in memory. It is well-formed, or zero; the zero Plaintext holds
// no key. It cannot be compared with == (use Equal) or be the key of a map, may be
// copied, and is safe for concurrent use.
//
// It does not print. Its methods see to that where they are called, and its storage
// where they are not: fmt calls no methods on what it finds in an unexported field,
// and dumpers such as go-spew and gomega's follow every pointer. So the key is where
// reflection cannot go, captured by a function, of which only the address shows.
type Plaintext struct {
	// The field's type makes Plaintext incomparable, too.
	reveal func() *[Length]byte
}

// conceal takes key over; nobody may change it any more.
func conceal(key *[Length]byte) Plaintext {
	return Plaintext{reveal: func() *[Length]byte { return key }}
}

// IsZero reports whether there is no key in p.
func (p Plaintext) IsZero() bool { return p.reveal == nil }

// Digest returns the SHA-256 of the key. Of the zero Plaintext it is the zero
// Digest, which is the digest of no key.
func (p Plaintext) Digest() Digest {
	if p.IsZero() {
		return Digest{}
	}
	return sha256.Sum256(p.reveal()[:])
}

// Equal reports whether both hold the same key, in constant time. The zero
// Plaintext equals none, itself included: having no key must never pass for having
// the right one.
func (p Plaintext) Equal(other Plaintext) bool {
	if p.IsZero() || other.IsZero() {
		return false
	}
	return subtle.ConstantTimeCompare(p.reveal()[:], other.reveal()[:]) == 1
}

// String returns "[redacted]".
func (Plaintext) String() string { return redacted }

// GoString returns "[redacted]".
func (Plaintext) GoString() string { return redacted }

// Format writes "[redacted]" for every verb, flag and width.
func (Plaintext) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redacted) }

// LogValue is what log/slog logs: "[redacted]".
func (Plaintext) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalLog is what logr logs: "[redacted]".
func (Plaintext) MarshalLog() any { return redacted }

// MarshalJSON returns ErrMarshal. It serves JSON, and YAML that is made from it.
func (Plaintext) MarshalJSON() ([]byte, error) { return nil, ErrMarshal }

// MarshalText returns ErrMarshal. It serves XML, YAML, TOML and keys of JSON objects.
func (Plaintext) MarshalText() ([]byte, error) { return nil, ErrMarshal }

// MarshalBinary returns ErrMarshal. It serves gob and CBOR.
func (Plaintext) MarshalBinary() ([]byte, error) { return nil, ErrMarshal }
