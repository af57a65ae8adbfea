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

// Schema is the version of the schema of lines.
const Schema = 1

// maxLine bounds a line, in bytes. The longest that Record can write is shorter.
const maxLine = 32 << 10

// Line is the content of one line without its hash.
type Line struct {
	Schema int       `json:"schema"`
	Time   time.Time `json:"time"`
	// Process names the chain: random, new with each start of a program.
	Process string `json:"process"`
	// Sequence numbers the lines of a chain from 1, without gaps.
	Sequence uint64 `json:"sequence"`
	// Previous is the hash of the line before; of the first line, genesis.
	Previous string `json:"previous"`
	Event
}

// Every line ends with its own hash.
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

// seal encodes l without its newline, and returns the hash of all that precedes the hash.
func (l *Line) seal() (sealed []byte, hash string, err error) {
	encoded, err := json.Marshal(l)
	if err != nil {
		return nil, "", fmt.Errorf("encode audit event: %w", err)
	}
	content := escaped(encoded[:len(encoded)-1])
	hash = digest(content)
	return fmt.Appendf(content, "%s%s%s", hashBegin, hash, hashEnd), hash, nil
}

// escaped writes each character that controls a terminal or the direction of text as \uXXXX: names
// and messages come from others, and trails are read in terminals. encoding/json does so for ASCII.
func escaped(encoded []byte) (result []byte) {
	controls := func(r rune) bool { return r >= 0x7f && unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }
	for {
		i := bytes.IndexFunc(encoded, controls)
		if i < 0 {
			return append(result, encoded...)
		}
		r, size := utf8.DecodeRune(encoded[i:])
		result = append(result, encoded[:i]...)
		for _, unit := range utf16.AppendRune(nil, r) {
			result = fmt.Appendf(result, `\u%04x`, unit)
		}
		encoded = encoded[i+size:]
	}
}

var (
	errNoLine  = errors.New("not an audit line")
	errSchema  = errors.New("unknown schema version: verify it with a newer release")
	errAltered = errors.New("altered: its hash is not that of its content")
)

// open reads a line without its newline. With errAltered it returns what the line claims.
func open(sealed []byte) (l Line, hash string, err error) {
	end := len(sealed) - sealSize
	if end <= 0 || len(sealed) > maxLine || json.Unmarshal(sealed, &l) != nil || l.Process == "" || l.Sequence == 0 {
		return Line{}, "", errNoLine
	}
	hash = digest(sealed[:end])
	if string(sealed[end:]) != hashBegin+hash+hashEnd {
		return l, "", errAltered
	}
	if l.Schema != Schema {
		return Line{}, "", errSchema
	}
	return l, hash, nil
}
