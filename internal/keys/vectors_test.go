// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

const vectorsFile = "testdata/vectors.json"

type vectors struct {
	Comment string          `json:"comment"`
	Valid   []vectorValid   `json:"valid"`
	Invalid []vectorInvalid `json:"invalid"`
}

// vectorValid is a key and all that follows from its random bytes.
type vectorValid struct {
	Name   string `json:"name"`
	Random string `json:"random"`
	Key    string `json:"key"`
	SHA256 string `json:"sha256"`
	KeyID  string `json:"keyID"`
}

// vectorInvalid is a text that is not a key, and the name of the error that says so.
type vectorInvalid struct {
	Name  string `json:"name"`
	Key   string `json:"key"`
	Error string `json:"error"`
}

// generate makes the vectors, of patterns that nobody takes for a key in use.
func generate(t *testing.T) vectors {
	all := vectors{
		Comment: "Test vectors for Hexcovery API keys. Each key is made of a fixed pattern of bytes; none is in use anywhere. " +
			"Written by: go test ./internal/keys -run TestVectors -update",
		Invalid: malformed(t),
	}
	for _, pattern := range []struct {
		name   string
		random []byte
	}{
		{"all zero", make([]byte, 32)},
		{"all ones", bytes.Repeat([]byte{0xff}, 32)},
		{"the number 1", append(make([]byte, 31), 1)},
		{"the number 61, the last of one digit", append(make([]byte, 31), 61)},
		{"the number 62, the first of two digits", append(make([]byte, 31), 62)},
		{"highest bit alone", append([]byte{0x80}, make([]byte, 31)...)},
		{"2^256-2", append(bytes.Repeat([]byte{0xff}, 31), 0xfe)},
		{"counting from 00", counting(0)},
		{"counting from 01", counting(1)},
		{"counting from e0 to ff", counting(0xe0)},
		{"55 repeated", bytes.Repeat([]byte{0x55}, 32)},
		{"aa repeated", bytes.Repeat([]byte{0xaa}, 32)},
		{"deadbeef repeated", bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, 8)},
	} {
		p := mintOf(t, pattern.random)
		all.Valid = append(all.Valid, vectorValid{
			Name:   pattern.name,
			Random: hex.EncodeToString(pattern.random),
			Key:    textOf(p),
			SHA256: p.Digest().String(),
			KeyID:  p.Digest().KeyID(),
		})
	}
	return all
}

func TestVectorsAreWhatIsPublished(t *testing.T) {
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(generate(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(vectorsFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s differs from what the code gives: the format is published and must not change", vectorsFile)
	}
}

// readVectors returns what is in the file, whatever the code would write.
func readVectors(t *testing.T) vectors {
	t.Helper()
	content, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var all vectors
	if err := json.Unmarshal(content, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Valid) < 12 || len(all.Invalid) < 12 {
		t.Fatalf("only %d valid and %d invalid vectors", len(all.Valid), len(all.Invalid))
	}
	return all
}

func TestVectorsFromRandomToKeyAndBack(t *testing.T) {
	for _, v := range readVectors(t).Valid {
		t.Run(v.Name, func(t *testing.T) {
			random, err := hex.DecodeString(v.Random)
			if err != nil {
				t.Fatal(err)
			}
			if got := textOf(mintOf(t, random)); got != v.Key {
				t.Errorf("minted %s, want %s", got, v.Key)
			}
			back := decodeBase62(t, v.Key[len(Prefix):headLength]).FillBytes(make([]byte, randomLength))
			if !bytes.Equal(back, random) {
				t.Errorf("the key holds %x", back)
			}
			digest, err := Parse(v.Key)
			if err != nil {
				t.Fatal(err)
			}
			if digest.String() != v.SHA256 || digest.KeyID() != v.KeyID {
				t.Errorf("digest %s, key ID %s", digest, digest.KeyID())
			}
			if parsed, err := ParseDigest(v.SHA256); err != nil || parsed != digest {
				t.Errorf("ParseDigest: %v, %v", parsed, err)
			}
		})
	}
}

func TestVectorsThatAreRefused(t *testing.T) {
	for _, v := range readVectors(t).Invalid {
		want, known := errorsByName[v.Error]
		if !known {
			t.Fatalf("%s: no error is called %s", v.Name, v.Error)
		}
		if _, err := Parse(v.Key); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", v.Name, err, want)
		}
	}
}
