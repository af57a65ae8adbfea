// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

const ancient = "HTTP/0.9"

// Framing says how a server finds the end of a body where a message can be read in
// two ways. Its zero value goes by RFC 9112, section 6.3, as far as that goes.
type Framing struct {
	// Chunked reports whether the values of Transfer-Encoding mean chunked; nil for
	// every value that has the word in it.
	Chunked func(values []string) bool
	// LengthFirst lets Content-Length win over Transfer-Encoding.
	LengthFirst bool
	// LastLength takes the last Content-Length, not the first.
	LastLength bool
	// NoBody reports whether requests of a method have no body, whatever they say.
	NoBody func(method string) bool
	// LooseNames also takes names with a space at the end, or underscores.
	LooseNames bool
	// LooseVersion reads headers after a request line without a version, too.
	LooseVersion bool
	// Fold joins a line that begins with a space to the one before it. Otherwise it
	// is a field of its own.
	Fold bool
}

// maxLine bounds what is read of a line.
const maxLine = 1 << 20

func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			return string(line), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) > maxLine {
			return string(line), err
		}
	}
}

func trimEnd(line string) string { return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r") }

// readHead reads a request up to its body.
func (f *Framing) readHead(r *bufio.Reader) (*Request, error) {
	line := ""
	for trimEnd(line) == "" { // empty lines before a request are skipped (RFC 9112, section 2.2)
		var err error
		if line, err = readLine(r); err != nil {
			return nil, err
		}
	}
	request := &Request{Line: trimEnd(line)}
	method, rest, _ := strings.Cut(request.Line, " ")
	request.Method = method
	at := strings.LastIndex(rest, " HTTP/")
	if at < 0 {
		request.Target, request.Proto = strings.TrimSpace(rest), ancient
		if !f.LooseVersion {
			return request, nil
		}
	} else {
		request.Target, request.Proto = rest[:at], rest[at+1:]
	}
	for {
		line, err := readLine(r)
		if err != nil {
			return nil, err
		}
		if line = trimEnd(line); line == "" {
			return request, nil
		}
		request.Head = append(request.Head, line)
		request.Fields = f.appendField(request.Fields, line)
	}
}

func (f *Framing) appendField(fields []Field, line string) []Field {
	if f.Fold && len(fields) > 0 && (line[0] == ' ' || line[0] == '\t') {
		last := &fields[len(fields)-1]
		last.Value = strings.TrimSpace(last.Value + " " + strings.TrimSpace(line))
		return fields
	}
	name, value, _ := strings.Cut(line, ":")
	return append(fields, Field{name, strings.Trim(value, " \t")})
}

// values are those of a framing header.
func (f *Framing) values(request *Request, name string) []string {
	var values []string
	for _, field := range request.Fields {
		got := field.Name
		if f.LooseNames {
			got = strings.ReplaceAll(strings.TrimSpace(got), "_", "-")
		}
		if strings.EqualFold(got, name) {
			values = append(values, field.Value)
		}
	}
	return values
}

// readBody reads the body, as this framing finds its end.
func (f *Framing) readBody(r *bufio.Reader, request *Request) error {
	if f.NoBody != nil && f.NoBody(request.Method) {
		return nil
	}
	encodings, lengths := f.values(request, "Transfer-Encoding"), f.values(request, "Content-Length")
	chunked := f.Chunked
	if chunked == nil {
		chunked = func(values []string) bool {
			return strings.Contains(strings.ToLower(strings.Join(values, ",")), "chunked")
		}
	}
	if len(encodings) > 0 && chunked(encodings) && (!f.LengthFirst || len(lengths) == 0) {
		return readChunks(r, request)
	}
	if len(lengths) == 0 {
		return nil
	}
	length := lengths[0]
	if f.LastLength {
		length = lengths[len(lengths)-1]
	}
	n := number(length, 10)
	body := make([]byte, n)
	_, err := io.ReadFull(r, body)
	request.Body, request.Payload = body, body
	return err
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

func readChunks(r *bufio.Reader, request *Request) error {
	var body, payload bytes.Buffer
	defer func() { request.Body, request.Payload = body.Bytes(), payload.Bytes() }()
	for {
		line, err := readLine(r)
		payload.WriteString(line)
		if err != nil {
			return err
		}
		n := number(line, 16)
		if n == 0 {
			break
		}
		chunk := make([]byte, n)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return err
		}
		body.Write(chunk)
		payload.Write(chunk)
		end, err := readLine(r)
		payload.WriteString(end)
		if err != nil {
			return err
		}
	}
	for {
		line, err := readLine(r)
		payload.WriteString(line)
		if err != nil {
			return err
		}
		if line = trimEnd(line); line == "" {
			return nil
		}
		name, value, _ := strings.Cut(line, ":")
		request.Trailers = append(request.Trailers, Field{name, strings.Trim(value, " \t")})
	}
}
