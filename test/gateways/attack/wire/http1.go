// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"strings"
)

const ancient = "HTTP/0.9"

// Framing says how a server finds the end of a body where a message can be read in
// two ways. Its zero value goes by RFC 9112, section 6.3, as far as that goes.
type Framing struct {
	// ExactChunked knows one Transfer-Encoding that is "chunked". Otherwise every value
	// that has the word in it means that.
	ExactChunked bool
	// LengthFirst lets Content-Length win over Transfer-Encoding.
	LengthFirst bool
	// LastLength takes the last Content-Length, not the first.
	LastLength bool
	// LooseNames also takes names with a space at the end, or underscores.
	LooseNames bool
	// LooseVersion reads headers after a request line without a version, too.
	LooseVersion bool
	// Fold joins a line that begins with a space to the one before it. Otherwise it
	// is a field of its own.
	Fold bool
}

// source is what a message is read from. It keeps what was read.
type source struct {
	*bufio.Reader
	read bytes.Buffer
}

// line reads a line, and returns it without its end.
func (s *source) line() (string, error) {
	line, err := s.ReadString('\n')
	s.read.WriteString(line)
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), err
}

// fields reads up to an empty line.
func (s *source) fields(fold bool) (lines []string, fields []Field, err error) {
	for {
		line, err := s.line()
		if err != nil || line == "" {
			return lines, fields, err
		}
		lines = append(lines, line)
		if last := len(fields) - 1; fold && last >= 0 && (line[0] == ' ' || line[0] == '\t') {
			fields[last].Value = strings.TrimSpace(fields[last].Value + " " + strings.TrimSpace(line))
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, Field{name, strings.Trim(value, " \t")})
	}
}

// readHead reads a request up to its body.
func (f *Framing) readHead(r *bufio.Reader) (*Request, error) {
	s, request := &source{Reader: r}, &Request{}
	for request.Line == "" { // empty lines before a request are skipped (RFC 9112, section 2.2)
		var err error
		if request.Line, err = s.line(); err != nil {
			return nil, err
		}
	}
	method, rest, _ := strings.Cut(request.Line, " ")
	request.Method = method
	if at := strings.LastIndex(rest, " HTTP/"); at >= 0 {
		request.Target, request.Proto = rest[:at], rest[at+1:]
	} else {
		request.Target, request.Proto = strings.TrimSpace(rest), ancient
		if !f.LooseVersion {
			return request, nil
		}
	}
	var err error
	request.Head, request.Fields, err = s.fields(f.Fold)
	return request, err
}

// values are those of a framing header.
func (f *Framing) values(request *Request, name string) []string {
	return request.Where(func(got string) bool {
		if f.LooseNames {
			got = strings.ReplaceAll(strings.TrimSpace(got), "_", "-")
		}
		return strings.EqualFold(got, name)
	})
}

// readBody reads the body, as this framing finds its end.
func (f *Framing) readBody(r *bufio.Reader, request *Request) (err error) {
	encodings, lengths := f.values(request, "Transfer-Encoding"), f.values(request, "Content-Length")
	chunked := strings.Contains(strings.ToLower(strings.Join(encodings, ",")), "chunked")
	if f.ExactChunked {
		chunked = slices.Equal(encodings, []string{"chunked"})
	}
	switch {
	case chunked && (!f.LengthFirst || len(lengths) == 0):
		s := &source{Reader: r}
		err = s.chunks(request)
		request.Payload = s.read.Bytes()
	case len(lengths) > 0:
		length := lengths[0]
		if f.LastLength {
			length = lengths[len(lengths)-1]
		}
		request.Body = make([]byte, number(length, 10))
		_, err = io.ReadFull(r, request.Body)
		request.Payload = request.Body
	}
	return err
}

// chunks reads a body in chunks, and the trailers.
func (s *source) chunks(request *Request) error {
	for {
		line, err := s.line()
		if err != nil {
			return err
		}
		n := number(line, 16)
		if n == 0 {
			_, request.Trailers, err = s.fields(false)
			return err
		}
		chunk := make([]byte, n)
		if _, err := io.ReadFull(s, chunk); err != nil {
			return err
		}
		s.read.Write(chunk)
		request.Body = append(request.Body, chunk...)
		if _, err := s.line(); err != nil {
			return err
		}
	}
}

// number reads the digits at the beginning, as C programs do that do not look whether
// the number overflows.
func number(s string, base uint64) int64 {
	s = strings.TrimLeft(strings.TrimSpace(s), "+")
	s = strings.TrimPrefix(s, "0x")
	var n uint64
	for _, c := range []byte(strings.ToLower(s)) {
		digit := uint64(strings.IndexByte("0123456789abcdef", c))
		if digit >= base {
			break
		}
		n = n*base + digit
	}
	return int64(min(n, 1<<24))
}
