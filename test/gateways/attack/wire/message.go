// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Field is a header field, as it was sent.
type Field struct{ Name, Value string }

// Request is a request, as it was sent.
type Request struct {
	// Proto is "HTTP/2", or what the request line says, or "HTTP/0.9".
	Proto string
	// Method and Target are those of the request line, or :method and :path.
	Method, Target string
	// Fields has pseudo-headers, too. A field of HTTP/1 without a colon has no Value.
	Fields   []Field
	Body     []byte
	Trailers []Field

	// Line, Head and Payload are what was read of HTTP/1: the request line, the lines
	// of the header without the empty one, and the body with its framing.
	Line    string
	Head    []string
	Payload []byte
}

// Where are the values of the fields whose name passes, in their order.
func (r *Request) Where(passes func(name string) bool) []string {
	var values []string
	for _, f := range r.Fields {
		if passes(f.Name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// Values are those of the fields with this name, in whatever case.
func (r *Request) Values(name string) []string {
	return r.Where(func(got string) bool { return strings.EqualFold(strings.TrimSpace(got), name) })
}

// First is the first value of the fields with this name, or "".
func (r *Request) First(name string) string {
	if values := r.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// has reports whether the first value of this name holds a word, in whatever case.
func (r *Request) has(name, word string) bool {
	return strings.Contains(strings.ToLower(r.First(name)), word)
}

// String shows the request to whoever reads a failed test.
func (r *Request) String() string {
	return fmt.Sprintf("%s %q %q\n    fields %q\n    body %.200q\n    trailers %q", r.Proto, r.Method, r.Target, r.Fields, r.Body, r.Trailers)
}

// Reply makes a response. Its Trailer is sent over HTTP/2 only.
func Reply(status int, header http.Header, body string) *http.Response {
	return &http.Response{
		ProtoMajor: 1, ProtoMinor: 1, StatusCode: status, Header: header,
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}
}
