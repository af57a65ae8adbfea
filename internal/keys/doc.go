// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keys makes API keys, recognizes them, and is the only place in the
// manager and the auth server that sees one.
//
// # What a key looks like
//
//	hxk_ 003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf 3urb27
//	 │                      │                           │
//	 prefix    256 random bits in 43 base62 digits    CRC-32 (IEEE) of what precedes, in 6
//
// without the spaces: 53 characters, so that SHA-256 reads it in one block. Both
// numbers are of fixed width, most significant digit first, in the alphabet
// 0-9A-Za-z. 43 digits could hold a little more than 256 bits; numbers that need
// more are refused, so each key is written in one way only.
//
// The prefix and the checksum make a key recognizable to secret scanners, and let
// a mistyped or truncated one be refused before any lookup. They add no secrecy.
// What the system stores is the SHA-256 of the whole key: with 256 random bits
// there is nothing for a slow hash to protect. People, logs and audit use the key
// ID, the first 12 hexadecimal digits of that hash. testdata/vectors.json has
// examples, valid and not, for implementations in other languages.
//
// # What to use
//
//   - The auth server calls [Parse] on what a client sent, and looks the [Digest] up.
//     What does not begin with hxk_ may be a key that was issued elsewhere and imported:
//     that it gives to [ParseForeign], whose answer is worth something only if the
//     registry knows the Digest as an imported one.
//   - The manager calls [Mint], keeps the [Plaintext] in an [Escrow] until the auth
//     servers know its Digest, and writes [Plaintext.SecretData] into the Secret.
//   - Its cache of Secrets holds what [RedactSecretData] leaves, and compares by
//     [DataDigest] and [TemplateDigest].
//
// # What it promises
//
//   - A Plaintext does not print: no verb of fmt, logger, template or dumper shows
//     it, wherever in a structure it sits, and it refuses to be marshalled.
//     [Plaintext.SecretData] and [Plaintext.KeyData] are its only ways out.
//   - No error of this package contains a key, or anything else that was passed as
//     one.
//   - [Parse] and [ParseForeign] do not allocate, whatever they are given, and no text
//     is accepted by both.
//
// # What it must never do
//
// Log; write to a disk, an environment or a network; keep a Plaintext anywhere but
// in an Escrow; accept a key of its own in a second spelling; invent randomness other than
// crypto/rand's.
//
// # What it cannot promise
//
// Go does not wipe memory. Copies of a key stay in stacks and on the heap until
// they are overwritten, and a core dump, a heap dump, a debugger, swap or package
// unsafe show them. Nothing here pretends to zero them. Go 1.26 has runtime/secret,
// which does so for stacks, registers and fresh allocations, but only as an
// experiment (GOEXPERIMENT=runtimesecret), and a key that must wait in an Escrow
// and be written to a Secret outlives any such call; it is not used here.
package keys
