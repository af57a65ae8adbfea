// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

const (
	// ForeignMinLength is the fewest bytes that a key issued elsewhere may have. Shorter
	// ones cannot hold 128 random bits in letters and digits.
	ForeignMinLength = 16
	// ForeignMaxLength is the most bytes that a key issued elsewhere may have.
	ForeignMaxLength = 256
)

// ErrForeign is returned for a text that no key issued elsewhere may have. It is
// ErrMalformed under errors.Is.
var ErrForeign = fmt.Errorf("%w, and not of a form that a key issued elsewhere may have", ErrMalformed)

// ParseForeign returns the digest of key, if it has a form that a key issued elsewhere
// may have: 16 to 256 visible ASCII characters (0x21 to 0x7e), no comma, and not hxk_
// at the beginning. Nearly anything has such a form, so it says nothing at all about
// whether key is one: only the registry does, of digests that were imported.
//
// What begins with hxk_ is for Parse, whoever has issued it, and one that Parse refuses
// is refused. A comma could join two values of a header, a blank could end one.
//
// The error is ErrForeign. Like Parse it is called for requests of anybody, and does
// not allocate.
func ParseForeign(key string) (Digest, error) {
	if len(key) < ForeignMinLength || len(key) > ForeignMaxLength || strings.HasPrefix(key, Prefix) {
		return Digest{}, ErrForeign
	}
	var k [ForeignMaxLength]byte
	length := copy(k[:], key)
	for _, c := range k[:length] {
		if c < '!' || c > '~' || c == ',' {
			return Digest{}, ErrForeign
		}
	}
	return sha256.Sum256(k[:length]), nil
}
