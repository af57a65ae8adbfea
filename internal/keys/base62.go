// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

// alphabet is in the order of ASCII, on purpose: numbers of the same width compare
// like their text, so a range check needs no arithmetic.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// notDigit marks a byte that is not in the alphabet. No digit has its bit.
const notDigit = 0x80

// digitOf gives the value of each byte as a base62 digit, or notDigit.
var digitOf = func() (table [256]byte) {
	for i := range table {
		table[i] = notDigit
	}
	for i := range len(alphabet) {
		table[alphabet[i]] = byte(i)
	}
	return table
}()

// putBase62 fills dst with number, big-endian, with leading zeros. It uses number
// up: what dst cannot hold is left in it, and nothing else.
func putBase62(dst, number []byte) {
	for i := len(dst) - 1; i >= 0; i-- {
		remainder := 0
		for j, b := range number {
			remainder = remainder<<8 | int(b)
			number[j] = byte(remainder / len(alphabet))
			remainder %= len(alphabet)
		}
		dst[i] = alphabet[remainder]
	}
}

// onlyBase62 reports whether every byte of text is in the alphabet.
func onlyBase62(text []byte) bool {
	var seen byte
	for _, c := range text {
		seen |= digitOf[c]
	}
	return seen&notDigit == 0
}

// base62Uint64 reads text, whose bytes are all in the alphabet and at most ten.
func base62Uint64(text []byte) uint64 {
	var n uint64
	for _, c := range text {
		n = n*uint64(len(alphabet)) + uint64(digitOf[c])
	}
	return n
}
