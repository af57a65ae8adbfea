// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/hexcovery/apikey-operator/test/gateways/attack/wire"
)

// Answer is what a client was answered.
type Answer struct {
	// Status is that of the first final response, 0 if there was none.
	Status int
	// Seen is all that the client received.
	Seen string
}

const (
	// patience is how long an attacker waits for a first answer. Some attacks get none:
	// the gateway waits for the rest of a request that never ends.
	patience = 400 * time.Millisecond
	// longPatience is for what has to be answered, however busy the machine is.
	longPatience = 10 * time.Second
	// afterwards is how long it then waits for a second one: a smuggled request may
	// have one of its own.
	afterwards = 25 * time.Millisecond
)

// send sends a case.
func (t *Target) send(c *Case) (Answer, error) {
	address, wait := t.Address, patience
	if c.HTTP2 != nil {
		address = t.HTTP2
	}
	if c.Class == legitimate {
		wait = longPatience
	}
	conn, err := net.DialTimeout("tcp", address, longPatience)
	if err != nil {
		return Answer{}, fmt.Errorf("%s, case %s: %w", t.Name, c.ID, err)
	}
	defer conn.Close()
	if c.HTTP2 != nil {
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		return c.HTTP2.send(conn, t.Keys.keys), nil
	}
	var seen bytes.Buffer
	reader := bufio.NewReader(io.TeeReader(conn, &seen))
	exchange := func(text, method string, wait time.Duration) int {
		_, _ = io.WriteString(conn, text) // a gateway may hang up before the end
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		return finalStatus(reader, method)
	}
	request := fill(c.Request, t.Keys.keys)
	method := cut(request, " ")
	status := exchange(request, method, wait)
	if c.Then != "" {
		status = cmp.Or(status, exchange(fill(c.Then, t.Keys.keys), method, patience/2))
	}
	_ = conn.SetReadDeadline(time.Now().Add(afterwards))
	_, _ = io.Copy(io.Discard, reader)
	return Answer{status, seen.String()}, nil
}

// finalStatus reads one final response; it is 0 if there is none.
func finalStatus(reader *bufio.Reader, method string) int {
	for {
		response, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			// What is no response has been seen all the same: HTTP/0.9 has no more than a body.
			_, _ = io.Copy(io.Discard, reader)
			return 0
		}
		switch code := response.StatusCode; {
		case code < 200 && code != http.StatusSwitchingProtocols:
			continue
		case code >= 300 || code >= 200 && method != http.MethodConnect:
			_, _ = io.Copy(io.Discard, response.Body)
		}
		return response.StatusCode
	}
}

// send sends a request as the first stream of a connection. A second answer belongs to a
// smuggled request; it has no stream to come on, so nothing is waited for but the first.
func (h *HTTP2) send(conn net.Conn, keys map[string]string) (answer Answer) {
	session := wire.NewClient(conn)
	session.WriteMessage(1, fields(h.Headers, keys), []byte(fill(h.Body, keys)), fields(h.Trailers, keys))
	for {
		part, err := session.Next()
		if err != nil {
			return answer
		}
		for _, f := range part.Fields {
			answer.Seen += f.Name + ": " + f.Value + "\n"
			if f.Name == ":status" && answer.Status < 200 {
				answer.Status, _ = strconv.Atoi(f.Value)
			}
		}
		answer.Seen += string(part.Data)
		if part.End || part.Reset {
			return answer
		}
	}
}

func fields(texts [][2]string, keys map[string]string) []wire.Field {
	var fields []wire.Field
	for _, text := range texts {
		fields = append(fields, wire.Field{Name: fill(text[0], keys), Value: fill(text[1], keys)})
	}
	return fields
}
