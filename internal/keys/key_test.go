// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// mintOf returns the key of the given random bytes.
func mintOf(t testing.TB, number []byte) Plaintext {
	t.Helper()
	p, err := mintFrom(bytes.NewReader(number))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// textOf returns the key of p as a string, which only tests of this package can.
func textOf(p Plaintext) string { return string(p.reveal()[:]) }

func TestLengthFitsOneBlockOfSHA256(t *testing.T) {
	// A block less the 0x80 byte and the length in 64 bits (FIPS 180-4, 5.1.1).
	if fits := sha256.BlockSize - 1 - 8; Length > fits {
		t.Errorf("a key of %d bytes takes two blocks, one has room for %d", Length, fits)
	}
	if Length != 53 {
		t.Errorf("Length is %d, and what is published says 53", Length)
	}
}

func TestMintMakesWellFormedKeys(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		p, err := Mint()
		if err != nil {
			t.Fatal(err)
		}
		text := textOf(p)
		digest, err := Parse(text)
		if err != nil {
			t.Fatalf("a minted key is refused: %v", err)
		}
		if digest != p.Digest() || digest != sha256.Sum256([]byte(text)) {
			t.Error("Parse and Plaintext disagree about the digest")
		}
		seen[text] = true
	}
	if len(seen) != 1000 {
		t.Errorf("1000 keys, %d of them distinct", len(seen))
	}
}

func TestMintReportsMissingRandomness(t *testing.T) {
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		random io.Reader
		want   error
	}{
		"failing": {iotest.ErrReader(broken), broken},
		"empty":   {strings.NewReader(""), io.EOF},
		"short":   {bytes.NewReader(make([]byte, randomLength-1)), io.ErrUnexpectedEOF},
	} {
		p, err := mintFrom(tc.random)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if !p.IsZero() {
			t.Errorf("%s: a key in spite of the error", name)
		}
	}
}

func TestChecksumIsCRC32IEEE(t *testing.T) {
	for _, text := range []string{"", "a", "123456789", "hxk_", strings.Repeat("xyz", 100)} {
		if got, want := checksum([]byte(text)), crc32.ChecksumIEEE([]byte(text)); got != want {
			t.Errorf("%q: %08x, want %08x", text, got, want)
		}
	}
}

// seal returns head with the checksum that belongs to it.
func seal(head string) string {
	sum := make([]byte, checksumLength)
	crc := crc32.ChecksumIEEE([]byte(head))
	putBase62(sum, []byte{byte(crc >> 24), byte(crc >> 16), byte(crc >> 8), byte(crc)})
	return head + string(sum)
}

// malformed are texts that are not keys, each for one reason.
func malformed(t testing.TB) []vectorInvalid {
	valid := textOf(mintOf(t, counting(0)))
	body := valid[len(Prefix):headLength]
	return []vectorInvalid{
		{"empty", "", "ErrLength"},
		{"prefix alone", Prefix, "ErrLength"},
		{"truncated by one", valid[:Length-1], "ErrLength"},
		{"one more character", valid + "0", "ErrLength"},
		{"newline at the end", valid + "\n", "ErrLength"},
		{"blank at the beginning", " " + valid, "ErrLength"},
		{"prefix in upper case", "HXK_" + valid[len(Prefix):], "ErrPrefix"},
		{"prefix with a hyphen, checksum correct", seal("hxk-" + body), "ErrPrefix"},
		{"hyphen in the body, checksum correct", seal(Prefix + "-" + body[1:]), "ErrAlphabet"},
		{"NUL in the body, checksum correct", seal(Prefix + body[:20] + "\x00" + body[21:]), "ErrAlphabet"},
		{"two bytes of UTF-8 in the body, checksum correct", seal(Prefix + body[:41] + "é"), "ErrAlphabet"},
		{"blank in the checksum", valid[:Length-1] + " ", "ErrAlphabet"},
		{"2^256, checksum correct", seal(Prefix + maxBody[:bodyLength-1] + "2"), "ErrRange"},
		{"largest 43 digits, checksum correct", seal(Prefix + strings.Repeat("z", bodyLength)), "ErrRange"},
		{"one character of the body changed", valid[:10] + other(valid[10]) + valid[11:], "ErrChecksum"},
		{"one character of the checksum changed", valid[:Length-1] + other(valid[Length-1]), "ErrChecksum"},
		{"two neighbours changed places", valid[:12] + valid[13:14] + valid[12:13] + valid[14:], "ErrChecksum"},
		{"body in lower case", Prefix + strings.ToLower(body) + valid[headLength:], "ErrChecksum"},
		{"checksum plus 2^32", valid[:headLength] + wrapped(valid[headLength:]), "ErrChecksum"},
	}
}

// other returns a digit that is not c.
func other(c byte) string {
	if c == '0' {
		return "1"
	}
	return "0"
}

// wrapped returns the digits of sum plus 2^32: equal to it for whoever calculates in 32
// bits.
func wrapped(sum string) string {
	n := base62Uint64([]byte(sum)) + 1<<32
	digits := make([]byte, checksumLength)
	putBase62(digits, []byte{byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	return string(digits)
}

var errorsByName = map[string]error{
	"ErrLength":   ErrLength,
	"ErrPrefix":   ErrPrefix,
	"ErrAlphabet": ErrAlphabet,
	"ErrRange":    ErrRange,
	"ErrChecksum": ErrChecksum,
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range malformed(t) {
		t.Run(tc.Name, func(t *testing.T) {
			digest, err := Parse(tc.Key)
			if want := errorsByName[tc.Error]; !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if !errors.Is(err, ErrMalformed) {
				t.Error("the error is not ErrMalformed")
			}
			if digest != (Digest{}) {
				t.Error("a digest in spite of the error")
			}
		})
	}
}

func TestParseRefusesEverySubstitutionOfOneCharacter(t *testing.T) {
	for _, number := range [][]byte{make([]byte, 32), bytes.Repeat([]byte{0xff}, 32), counting(1)} {
		valid := textOf(mintOf(t, number))
		for at := range Length {
			for c := range 256 {
				if byte(c) == valid[at] {
					continue
				}
				changed := valid[:at] + string([]byte{byte(c)}) + valid[at+1:]
				if _, err := Parse(changed); !errors.Is(err, ErrMalformed) {
					t.Fatalf("byte %#x at %d: %v", c, at, err)
				}
			}
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	texts := map[string]string{"valid": textOf(mintOf(t, counting(0))), "very long": strings.Repeat("x", 1<<20)}
	for _, tc := range malformed(t) {
		texts[tc.Name] = tc.Key
	}
	for name, text := range texts {
		if allocs := testing.AllocsPerRun(100, func() { _, _ = Parse(text) }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// FuzzParse: whatever is accepted is the one spelling of its number, and stays what it
// is under no change of one character.
//
// That every such change is refused is a property and not a likelihood. In the prefix it
// is seen at once. In the body it changes the CRC-32, which detects every burst of up to
// 32 bits (four neighbouring characters), while the checksum stays. In the checksum the
// digits name another number, while the body stays. Changes further apart, or on both
// sides of the last boundary, pass with a chance of 1 in 2^32.
func FuzzParse(f *testing.F) {
	for _, number := range [][]byte{make([]byte, 32), bytes.Repeat([]byte{0xff}, 32), counting(0)} {
		text := textOf(mintOf(f, number))
		f.Add(text, uint8(20), byte('x'))
		f.Add(text[:headLength], uint8(50), byte('x'))
	}
	for _, tc := range malformed(f) {
		f.Add(tc.Key, uint8(0), byte(0))
	}
	f.Fuzz(func(t *testing.T, text string, at uint8, c byte) {
		sealed := text
		if len(text) == headLength {
			sealed = seal(text) // hardly any input would pass the checksum by itself
		}
		digest, err := Parse(sealed)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || digest != (Digest{}) {
				t.Errorf("got %v, %v", digest, err)
			}
			return
		}
		number := decodeBase62(t, sealed[len(Prefix):headLength])
		if number.BitLen() > 256 {
			t.Errorf("%d bits were accepted", number.BitLen())
			return
		}
		again := mintOf(t, number.FillBytes(make([]byte, randomLength)))
		if textOf(again) != sealed || again.Digest() != digest {
			t.Errorf("%q was accepted, and is spelled %q", sealed, textOf(again))
		}
		changed := []byte(sealed)
		changed[int(at)%Length] = c
		if _, err := Parse(string(changed)); (err == nil) != (string(changed) == sealed) {
			t.Errorf("%q and %q: %v", sealed, changed, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	texts := []vectorInvalid{{"valid", textOf(mintOf(b, counting(0))), "nil"}}
	seen := map[string]bool{}
	for _, tc := range malformed(b) {
		if !seen[tc.Error] && tc.Key != "" {
			texts = append(texts, tc)
		}
		seen[tc.Error] = seen[tc.Error] || tc.Key != ""
	}
	for _, tc := range texts {
		b.Run(tc.Error, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Parse(tc.Key)
			}
		})
	}
}

func BenchmarkMint(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Mint(); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleParse() {
	_, err := Parse("hxk_0000000000000000000000000000000000000000000000000")
	fmt.Println(errors.Is(err, ErrMalformed), err)
	// Output: true not an API key: its checksum does not match
}
