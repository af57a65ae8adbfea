// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import "strings"

// Path is a path that has been judged to have one reading. Only Judge makes them.
type Path string

// MaxPathBytes is the length of the longest path that is judged. It is far above
// what the surface needs, and below what the common servers cut off or reject.
const MaxPathBytes = 2048

// AmbiguityError says why a request target has more than one reading. It never
// quotes the target.
type AmbiguityError string

func (a AmbiguityError) Error() string { return string(a) }

// What a target is refused for. They are variables so that returning one as an
// error does not allocate.
var (
	errNotOrigin error = AmbiguityError(`the request target does not start with "/"`)
	errTooLong   error = AmbiguityError("the path is longer than 2048 bytes")
	errEmpty     error = AmbiguityError("the path has an empty segment (//)")
	errDot       error = AmbiguityError("the path has a dot segment (. or ..)")
	errRaw       error = AmbiguityError("the request target has a character that must not be there unescaped")
	errParameter error = AmbiguityError("the path has a parameter (;)")
	errEscape    error = AmbiguityError("the path has a broken percent-escape")
	errEscaped   error = AmbiguityError("the path has a percent-escape of a character that servers read in different ways")
)

// What a byte may do in a path. The zero value refuses.
const (
	raw     = 1 << iota // may stand for itself
	escaped             // may be written as a percent-escape
)

// classes holds what each byte may do. A byte may be escaped only if its escape
// cannot change how a path is cut, cleaned or decoded again, and if nobody may
// rewrite it: RFC 3986, section 6.2.2.2, lets any server between here and the
// upstream turn %61 into a, so the unreserved characters only stand for themselves.
// Bytes from 0x80 are left out, because their reading depends on a character set
// and on Unicode normalization; so are NUL and the control characters, / and \
// (segments), % (double decoding), . (dot segments), ; (parameters), ? and #
// (where the path ends).
var classes = func() (c [256]uint8) {
	for b := '0'; b <= '9'; b++ {
		c[b] = raw
	}
	for b := 'a'; b <= 'z'; b++ {
		c[b], c[b-'a'+'A'] = raw, raw
	}
	for _, b := range "-._~" {
		c[b] = raw
	}
	// sub-delims, ":" and "@" mean themselves either way: no rule can name them.
	for _, b := range "!$&'()*+,=:@" {
		c[b] = raw | escaped
	}
	for _, b := range " \"<>[]^`{|}" {
		c[b] = escaped
	}
	return c
}()

// Judge takes the target of a request in origin form ("/path?query") and returns
// its path, as it was written, if that path has exactly one reading. Otherwise the
// error is an AmbiguityError. What follows the first "?" is not judged, except that it
// must not hold what ends a request target.
func Judge(target string) (Path, error) {
	if target == "" || target[0] != '/' {
		return "", errNotOrigin
	}
	path, query, _ := strings.Cut(target, "?")
	if len(path) > MaxPathBytes {
		return "", errTooLong
	}
	if err := judgePath(path); err != nil {
		return "", err
	}
	for i := range len(query) {
		if b := query[i]; b <= ' ' || b == 0x7f || b == '#' {
			return "", errRaw
		}
	}
	return Path(path), nil
}

func judgePath(path string) error {
	segment := 1 // where the current segment starts
	for i := 1; i < len(path); i++ {
		switch b := path[i]; {
		case b == '/':
			if err := judgeSegment(path[segment:i]); err != nil {
				return err
			}
			segment = i + 1
		case b == ';':
			return errParameter
		case b == '%':
			if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
				return errEscape
			}
			if classes[unhex(path[i+1])<<4|unhex(path[i+2])]&escaped == 0 {
				return errEscaped
			}
			i += 2
		case classes[b]&raw == 0:
			return errRaw
		}
	}
	if last := path[segment:]; last != "" { // empty: a trailing slash, or "/"
		return judgeSegment(last)
	}
	return nil
}

func judgeSegment(segment string) error {
	switch segment {
	case "":
		return errEmpty
	case ".", "..":
		return errDot
	}
	return nil
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

func unhex(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return b&^0x20 - 'A' + 10
}
