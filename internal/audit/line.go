// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Schema is the version of the schema that lines have.
const Schema = 1

// maxLine bounds a line, in bytes. The longest that Record can write is shorter.
const maxLine = 32 << 10

// chained is the place of a line in its chain.
type chained struct {
	Schema int       `json:"schema"`
	Time   time.Time `json:"time"`
	// Process is new with each start of a program: the name of the chain.
	Process string `json:"process"`
	// Sequence counts the lines of a chain from 1.
	Sequence uint64 `json:"sequence"`
	// Previous is the hash of the line before; of the first line, genesis.
	Previous string `json:"previous"`
	// Lost is there if lines before this one are missing.
	Lost *Loss `json:"lost,omitempty"`
}

// Loss says what could not be written before a line.
type Loss struct {
	// Lines that are missing: those with the sequence numbers just before.
	Lines uint64 `json:"lines,omitempty"`
	// Since is the hash of the last line before them, or genesis.
	Since string `json:"since"`
	// Fragments are lines of the file that are no lines, for writes that ended in
	// their middle.
	Fragments uint64 `json:"fragments,omitempty"`
	// Dropped are events that no line was made of, because too many waited for a writer
	// that was stuck. No sequence numbers are missing for them.
	Dropped uint64 `json:"dropped,omitempty"`
}

// line is what one line holds, but for its hash.
type line struct {
	chained
	Event
}

// The end of every line: its own hash.
const (
	hashBegin = `,"hash":"`
	hashEnd   = `"}`
	hashSize  = 2 * sha256.Size
	sealSize  = len(hashBegin) + hashSize + len(hashEnd)
)

// genesis stands for the hash of the line before the first of a chain.
func genesis(process string) string {
	return digest(fmt.Appendf(nil, "hexcovery audit %d %s", Schema, process))
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// seal encodes l as a line without its newline, and returns its hash, which is over
// all that is before it.
func (l *line) seal() (sealed []byte, hash string, err error) {
	encoded, err := json.Marshal(l)
	if err != nil {
		return nil, "", fmt.Errorf("encode audit event: %w", err)
	}
	content := escaped(encoded[:len(encoded)-1])
	hash = digest(content)
	sealed = append(content, hashBegin...)
	sealed = append(sealed, hash...)
	return append(sealed, hashEnd...), hash, nil
}

// escaped returns encoded with every character written as \uXXXX that steers a terminal or
// how text is shown: names and messages are others', and trails are read in terminals. What
// reads the line finds the same strings. encoding/json does so with those of ASCII.
func escaped(encoded []byte) []byte {
	steers := func(r rune) bool { return r >= 0x7f && unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }
	if bytes.IndexFunc(encoded, steers) < 0 {
		return encoded
	}
	result := make([]byte, 0, 2*len(encoded))
	// Outside of strings JSON has ASCII only.
	for _, r := range string(encoded) {
		if !steers(r) {
			result = utf8.AppendRune(result, r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			result = fmt.Appendf(result, `\u%04x`, unit)
		}
	}
	return result
}

// What a line may be instead of one.
var (
	errNoLine = errors.New("not an audit line")
	errSchema = errors.New("a schema that this release does not know")
	errEdited = errors.New("its content does not have the hash that it bears")
)

// link is what a Verifier reads of a line.
type link struct {
	chained
	Action Action `json:"action"`
}

// open reads a line without its newline. With errEdited comes what it says
// nevertheless.
func open(sealed []byte) (l link, hash string, err error) {
	content, hash, ok := unseal(sealed)
	if !ok || json.Unmarshal(sealed, &l) != nil || l.Process == "" || l.Sequence == 0 {
		return link{}, "", errNoLine
	}
	if digest(content) != hash {
		return l, hash, errEdited
	}
	if l.Schema != Schema {
		return link{}, "", errSchema
	}
	return l, hash, nil
}

func unseal(sealed []byte) (content []byte, hash string, ok bool) {
	if len(sealed) <= sealSize || len(sealed) > maxLine {
		return nil, "", false
	}
	content, seal := sealed[:len(sealed)-sealSize], sealed[len(sealed)-sealSize:]
	if !bytes.HasPrefix(seal, []byte(hashBegin)) || !bytes.HasSuffix(seal, []byte(hashEnd)) {
		return nil, "", false
	}
	return content, string(seal[len(hashBegin) : len(hashBegin)+hashSize]), true
}
