// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"fmt"
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
	// Connection counts the connections of a server; requests that came on one have
	// the same.
	Connection int
}

// Values are those of the fields with this name, in whatever case.
func (r *Request) Values(name string) []string {
	var values []string
	for _, f := range r.Fields {
		if strings.EqualFold(strings.TrimSpace(f.Name), name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// First is the first value of the fields with this name, or "".
func (r *Request) First(name string) string {
	if values := r.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// String shows the request to whoever reads a failed test.
func (r *Request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %q", r.Proto, r.Method, r.Target)
	for _, f := range r.Fields {
		fmt.Fprintf(&b, "\n    %q: %q", f.Name, f.Value)
	}
	if len(r.Body) > 0 {
		fmt.Fprintf(&b, "\n    body %.200q", r.Body)
	}
	for _, f := range r.Trailers {
		fmt.Fprintf(&b, "\n    trailer %q: %q", f.Name, f.Value)
	}
	return b.String()
}

// Response is an answer.
type Response struct {
	Status   int
	Fields   []Field
	Body     []byte
	Trailers []Field // over HTTP/2 only
}

// write1 writes the response as HTTP/1.1, or what HTTP/0.9 had of it.
func (r *Response) write1(to *bytes.Buffer, request *Request) {
	bodyless := request.Method == "HEAD" || r.Status < 200 || r.Status == 204 || r.Status == 304 ||
		request.Method == "CONNECT" && r.Status < 300
	if request.Proto == ancient {
		to.Write(r.Body)
		return
	}
	fmt.Fprintf(to, "HTTP/1.1 %d Status\r\n", r.Status)
	for _, f := range r.Fields {
		fmt.Fprintf(to, "%s: %s\r\n", f.Name, f.Value)
	}
	if !bodyless || request.Method == "HEAD" {
		fmt.Fprintf(to, "Content-Length: %d\r\n", len(r.Body))
	}
	to.WriteString("\r\n")
	if !bodyless {
		to.Write(r.Body)
	}
}
