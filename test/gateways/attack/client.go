// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Answer is what a client was answered.
type Answer struct {
	// Status is that of the first final response, 0 if there was none.
	Status int
	// Reason is that of the auth server, if its problem body came through.
	Reason string
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

// send sends a case to an address.
func (c *Case) send(address string, values map[string]string) (Answer, error) {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return Answer{}, err
	}
	defer conn.Close()
	wait := patience
	if c.Expect == legitimate {
		wait = longPatience
	}
	if c.HTTP2 != nil {
		return c.HTTP2.send(conn, values, wait), nil
	}
	request := expand(c.Request, values)
	method, _, _ := strings.Cut(request, " ")
	_, _ = io.WriteString(conn, request) // a gateway may hang up before the end

	var seen bytes.Buffer
	reader := bufio.NewReader(io.TeeReader(conn, &seen))
	answer := Answer{}
	answer.read(conn, reader, method, wait)
	if c.Then != "" {
		then := expandValue(strings.TrimSuffix(c.Then, "\n"), values)
		if !strings.Contains(c.Then, `\r\n`) {
			then = expand(c.Then, values)
		}
		_, _ = io.WriteString(conn, then)
		answer.read(conn, reader, method, patience/2)
	}
	_ = conn.SetReadDeadline(time.Now().Add(afterwards))
	_, _ = io.Copy(io.Discard, reader)
	answer.Seen = seen.String()
	return answer, nil
}

// read reads one final response. Only the first counts.
func (a *Answer) read(conn net.Conn, reader *bufio.Reader, method string, wait time.Duration) {
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	for {
		response, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			// What is no response has been seen all the same: HTTP/0.9 has no more than a body.
			_, _ = io.Copy(io.Discard, reader)
			return
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		if response.StatusCode != http.StatusSwitchingProtocols && (method != http.MethodConnect || response.StatusCode >= 300) {
			body, _ := io.ReadAll(response.Body)
			if a.Status == 0 {
				a.Reason = reasonOf(string(body))
			}
		}
		if a.Status == 0 {
			a.Status = response.StatusCode
		}
		return
	}
}

// reasonOf takes the reason out of a problem body.
func reasonOf(body string) string {
	_, rest, found := strings.Cut(body, `"reason":"`)
	if !found {
		return ""
	}
	reason, _, _ := strings.Cut(rest, `"`)
	return reason
}
