// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
)

// The first field of what a digest is made of, so that a digest of one kind is never
// one of another. A change of what follows takes a new number.
const (
	dataDomain     = "auth.hexcovery.io/data-digest/1"
	templateDomain = "auth.hexcovery.io/template-digest/1"
)

// RedactSecretData replaces each value of data by its SHA-256, for caches that must
// not hold what Secrets hold. It changes the map and not the bytes of the old values,
// so a clone (maps.Clone) can be redacted while the original is still needed.
//
// Redacting twice gives digests of digests, and it cannot be told apart: an object has
// to come here exactly once. A value that was added by hand and is easy to guess can be
// guessed from its digest, too.
func RedactSecretData(data map[string][]byte) {
	for name, value := range data {
		sum := sha256.Sum256(value)
		data[name] = sum[:]
	}
}

// DataDigest returns 64 hexadecimal digits that stand for the whole of redacted, which
// RedactSecretData has been applied to: a cache that holds digests only can tell by it
// whether a Secret still is what was written.
func DataDigest(redacted map[string][]byte) string {
	message := appendField(nil, dataDomain)
	for _, name := range slices.Sorted(maps.Keys(redacted)) {
		message = appendField(message, name)
		message = appendField(message, redacted[name])
	}
	return hexSum(message)
}

// TemplateDigest returns 64 hexadecimal digits that stand for what SecretData makes of
// templates and vars, the key aside: while it stays the same, a Secret need not be
// written again. No templates and the default ones, spelled out, are the same.
func TemplateDigest(templates map[string]string, vars Variables) string {
	message := appendField(nil, templateDomain)
	message = appendField(message, vars.OrganizationID)
	templates = effective(templates)
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		message = appendField(message, name)
		message = appendField(message, templates[name])
	}
	return hexSum(message)
}

// appendField appends field with its length before it: no two lists of fields give the
// same message.
func appendField[T string | []byte](message []byte, field T) []byte {
	message = binary.BigEndian.AppendUint64(message, uint64(len(field)))
	return append(message, field...)
}

func hexSum(message []byte) string {
	sum := sha256.Sum256(message)
	return hex.EncodeToString(sum[:])
}
