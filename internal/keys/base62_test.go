// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"math/big"
	"slices"
	"testing"
)

// decodeBase62 reads text with math/big, whose alphabet has the two cases in the other
// order: a second implementation, to judge the first by.
func decodeBase62(t *testing.T, text string) *big.Int {
	t.Helper()
	swapped := bytes.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		default:
			return r
		}
	}, []byte(text))
	n, ok := new(big.Int).SetString(string(swapped), 62)
	if !ok {
		t.Fatalf("%q is not base62", text)
	}
	return n
}

func TestAlphabetIsInTheOrderOfASCII(t *testing.T) {
	if !slices.IsSorted([]byte(alphabet)) {
		t.Error("comparing texts would not compare numbers")
	}
	if len(alphabet) != 62 {
		t.Errorf("%d characters", len(alphabet))
	}
}

func TestOnlyTheAlphabetIsDigits(t *testing.T) {
	for c := range 256 {
		want := bytes.IndexByte([]byte(alphabet), byte(c))
		if got := onlyBase62([]byte{'0', byte(c), 'z'}); got != (want >= 0) {
			t.Errorf("onlyBase62 of byte %#x: %v", c, got)
		}
		if want >= 0 && base62Uint64([]byte{byte(c)}) != uint64(want) {
			t.Errorf("base62Uint64 of %q: %d, want %d", byte(c), base62Uint64([]byte{byte(c)}), want)
		}
	}
}

func TestMaxBodyIsTheLargestNumberOf256Bits(t *testing.T) {
	largest := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	if got := decodeBase62(t, maxBody); got.Cmp(largest) != 0 {
		t.Errorf("maxBody is %x", got)
	}
}

func TestPutBase62(t *testing.T) {
	for _, number := range [][]byte{
		make([]byte, 32),
		bytes.Repeat([]byte{0xff}, 32),
		append(make([]byte, 31), 61),
		append(make([]byte, 31), 62),
		append([]byte{0x80}, make([]byte, 31)...),
		counting(0),
		counting(0xe0),
	} {
		want := new(big.Int).SetBytes(number)
		text := make([]byte, bodyLength)
		putBase62(text, slices.Clone(number))
		if got := decodeBase62(t, string(text)); got.Cmp(want) != 0 {
			t.Errorf("%x became %s, which is %x", number, text, got)
		}
	}
}

func FuzzPutBase62(f *testing.F) {
	f.Add(counting(0))
	f.Fuzz(func(t *testing.T, number []byte) {
		if len(number) > randomLength {
			return
		}
		want := new(big.Int).SetBytes(number)
		text := make([]byte, bodyLength)
		putBase62(text, slices.Clone(number))
		if got := decodeBase62(t, string(text)); got.Cmp(want) != 0 {
			t.Errorf("%x became %s, which is %x", number, text, got)
		}
		if string(text) > maxBody {
			t.Errorf("%x became %s, which is out of range", number, text)
		}
	})
}

// counting returns 32 bytes that count up from first.
func counting(first byte) []byte {
	number := make([]byte, randomLength)
	for i := range number {
		number[i] = first + byte(i)
	}
	return number
}
