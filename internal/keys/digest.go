// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

const (
	digestDigits = 2 * sha256.Size
	keyIDDigits  = 12
)

// ErrDigest is returned for a text that is not a digest.
var ErrDigest = errors.New("not a digest: it has to be 64 lower-case hexadecimal digits")

// Digest is the SHA-256 of a whole key, prefix and checksum included. It is not a
// secret, and may be compared with ==.
type Digest [sha256.Size]byte

// String returns the whole digest as 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// KeyID returns the first 12 digits of String, by which people, logs and audit
// name a key.
func (d Digest) KeyID() string { return hex.EncodeToString(d[:keyIDDigits/2]) }

// KeyIDOf returns the KeyID of the digest whose String digest is. It does not read it: what is
// no digest, and shorter, is returned as it is.
func KeyIDOf(digest string) string { return digest[:min(len(digest), keyIDDigits)] }

// ParseDigest reads what String returns, and nothing else. The error is ErrDigest;
// it does not repeat text, in which somebody may have pasted a key.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	if len(text) != digestDigits {
		return Digest{}, ErrDigest
	}
	for i := range len(text) {
		// encoding/hex takes upper case as well; here each digest has one spelling.
		if 'A' <= text[i] && text[i] <= 'F' {
			return Digest{}, ErrDigest
		}
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil {
		return Digest{}, ErrDigest
	}
	return d, nil
}
