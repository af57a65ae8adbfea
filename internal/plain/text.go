// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plain makes harmless to look at what somebody else has written: names and
// messages that come from objects, from other programs' answers, and from files, and that
// end in conditions, events and terminals.
//
// It must never be used on what a program reads back: it is for people.
package plain

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns text on one line, without characters that steer a terminal or how text is
// shown (line breaks, escape sequences, right-to-left marks, what has no width): each is
// written as in a Go string, \n or \u202e. Whatever is printable stays, in any script. Who
// shows it on a page still has to escape it there.
func Text(text string) string {
	if isPlain(text) {
		return text
	}
	var plain strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			plain.WriteString(`\ufffd`)
		case unicode.IsPrint(r):
			plain.WriteRune(r)
		default:
			plain.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return plain.String()
}

func isPlain(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
