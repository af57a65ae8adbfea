// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	// Prefix begins every key, for people and for secret scanners.
	Prefix = "hxk_"
	// Length of every key in bytes, all of them ASCII.
	Length = headLength + checksumLength

	bodyLength     = 43 // base62 digits that hold 256 bits
	checksumLength = 6  // base62 digits that hold 32 bits
	headLength     = len(Prefix) + bodyLength
	randomLength   = 32 // bytes

	// maxBody is 2^256-1.
	maxBody = "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1"
)

// Errors of Parse. They say what is wrong with what was sent, never what it was.
var (
	// ErrMalformed is what every error of Parse is, under errors.Is.
	ErrMalformed = errors.New("not an API key")
	// ErrLength is returned when it is not 53 bytes long.
	ErrLength = fmt.Errorf("%w: its length is wrong", ErrMalformed)
	// ErrPrefix is returned when it does not begin with hxk_.
	ErrPrefix = fmt.Errorf("%w: it does not begin with %s", ErrMalformed, Prefix)
	// ErrAlphabet is returned when it has a character that no key has.
	ErrAlphabet = fmt.Errorf("%w: it has a character that is not a base62 digit", ErrMalformed)
	// ErrRange is returned when its number is more than 256 bits.
	ErrRange = fmt.Errorf("%w: its number is too large", ErrMalformed)
	// ErrChecksum is returned when a character is mistyped, or it was made up.
	ErrChecksum = fmt.Errorf("%w: its checksum does not match", ErrMalformed)
)

// Parse returns the digest of key, if key is well-formed. Whether anybody has
// issued it is another question. An error is one of ErrLength, ErrPrefix,
// ErrAlphabet, ErrRange and ErrChecksum, the first that applies in that order, and
// is ErrMalformed under errors.Is.
//
// It is called for every request of every client, so it does not allocate. How long
// it takes depends on which check fails, which tells no more than this comment does.
func Parse(key string) (Digest, error) {
	if len(key) != Length {
		return Digest{}, ErrLength
	}
	var k [Length]byte
	copy(k[:], key)
	if err := check(&k); err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(k[:]), nil
}

// check returns what is wrong with key, or nil.
func check(key *[Length]byte) error {
	body, sum := key[len(Prefix):headLength], key[headLength:]
	switch {
	case string(key[:len(Prefix)]) != Prefix:
		return ErrPrefix
	case !onlyBase62(body) || !onlyBase62(sum):
		return ErrAlphabet
	case string(body) > maxBody:
		return ErrRange
	// In 64 bits: six digits hold more than a CRC-32 has, and must not wrap around
	// to one.
	case base62Uint64(sum) != uint64(checksum(key[:headLength])):
		return ErrChecksum
	}
	return nil
}

// checksum is crc32.ChecksumIEEE, which cannot be used: it calls through a variable,
// so its argument escapes to the heap.
func checksum(head []byte) uint32 {
	crc := ^uint32(0)
	for _, c := range head {
		crc = crc32.IEEETable[byte(crc)^c] ^ crc>>8
	}
	return ^crc
}

// Mint makes a new key.
func Mint() (Plaintext, error) {
	return mintFrom(rand.Reader)
}

// mintFrom makes a key of the next 256 bits of random.
func mintFrom(random io.Reader) (Plaintext, error) {
	var number [randomLength]byte
	if _, err := io.ReadFull(random, number[:]); err != nil {
		return Plaintext{}, fmt.Errorf("read randomness: %w", err)
	}
	key := new([Length]byte)
	copy(key[:], Prefix)
	putBase62(key[len(Prefix):headLength], number[:])
	sum := binary.BigEndian.AppendUint32(nil, checksum(key[:headLength]))
	putBase62(key[headLength:], sum)
	return conceal(key), nil
}
