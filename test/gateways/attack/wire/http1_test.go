// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
)

// Each weakness reads the same bytes in another way than a server without it.
func TestFraming(t *testing.T) {
	const chunks = "5\r\nhello\r\n0\r\n\r\n"
	for name, test := range map[string]struct {
		framing     Framing
		message     string
		sound, weak string // bodies
	}{
		"length first":  {Framing{LengthFirst: true}, "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "hello", "5\r\nh"},
		"last length":   {Framing{LastLength: true}, "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello", "hel", "hello"},
		"exact chunked": {Framing{ExactChunked: true}, "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: x, chunked\r\n\r\n" + chunks, "hello", "5\r\n"},
		"loose names":   {Framing{LooseNames: true}, "POST / HTTP/1.1\r\nContent-Length : 5\r\n\r\nhello", "", "hello"},
		"underscores":   {Framing{LooseNames: true}, "POST / HTTP/1.1\r\nTransfer_Encoding: chunked\r\n\r\n" + chunks, "", "hello"},
		"loose version": {Framing{LooseVersion: true}, "POST /\r\nContent-Length: 5\r\n\r\nhello", "", "hello"},
		"fold":          {Framing{Fold: true}, "POST / HTTP/1.1\r\nContent-Length:\r\n 5\r\n\r\nhello", "", "hello"},
	} {
		if got := body(t, &Framing{}, test.message); got != test.sound {
			t.Errorf("%s: without the weakness the body is %q, not %q", name, got, test.sound)
		}
		if got := body(t, &test.framing, test.message); got != test.weak {
			t.Errorf("%s: the body is %q, not %q", name, got, test.weak)
		}
	}
}

// What is forwarded is what was read: each line, and each byte of the body's framing.
func TestRequestsAreKeptAsTheyWereSent(t *testing.T) {
	const head, payload = "A : b\r\n c\r\nx", "+5;y\r\nhello\r\n0\r\nT: u\r\n\r\n"
	r := bufio.NewReader(strings.NewReader("\r\nPOST /a b HTTP/1.1\r\n" + head + "\r\nTransfer-Encoding: chunked\r\n\r\n" + payload + "next"))
	request, err := (&Framing{}).readHead(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := (&Framing{}).readBody(r, request); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(request.Head, "\r\n"); got != head+"\r\nTransfer-Encoding: chunked" || request.Line != "POST /a b HTTP/1.1" {
		t.Errorf("the header is kept as %q %q", request.Line, got)
	}
	if got := fmt.Sprintf("%q %q %q %q", request.Target, request.Body, request.Payload, request.Trailers); got != fmt.Sprintf("%q %q %q %q", "/a b", "hello", payload, []Field{{"T", "u"}}) {
		t.Errorf("the rest is kept as %s", got)
	}
	if rest, _ := r.Peek(4); string(rest) != "next" {
		t.Errorf("what follows is %q", rest)
	}
}

func body(t *testing.T, framing *Framing, message string) string {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(message))
	request, err := framing.readHead(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := framing.readBody(r, request); err != nil {
		t.Fatal(err)
	}
	return string(request.Body)
}
