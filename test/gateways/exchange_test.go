// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

// patience bounds one exchange: longer than any timeout of a gateway.
const patience = 15 * time.Second

var marks atomic.Int64

// newMark returns what tells one request from all others.
func newMark() string { return fmt.Sprintf("mark-%d", marks.Add(1)) }

// answer is what came of a request.
type answer struct {
	status   int
	header   http.Header
	body     string
	arrivals []*rig.Arrival
}

// raw is an HTTP/1.1 request as it is on the wire. Without a Host or a Connection
// among the headers it has the usual ones.
func raw(method, target, mark, body string, headers ...string) string {
	has := func(name string) bool {
		return slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, name+":") })
	}
	lines := []string{method + " " + target + " HTTP/1.1", rig.MarkHeader + ": " + mark}
	if !has("Host") {
		lines = append(lines, "Host: hexcovery.example")
	}
	if !has("Connection") {
		lines = append(lines, "Connection: close")
	}
	lines = append(lines, headers...)
	if body != "" && !has("Transfer-Encoding") {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// send sends one request on a connection of its own, and reads the answer.
func (w *world) send(t *testing.T, method, target, body string, headers ...string) *answer {
	t.Helper()
	mark := newMark()
	return w.wire(t, mark, raw(method, target, mark, body, headers...))
}

// wire sends these very bytes.
func (w *world) wire(t *testing.T, mark, request string) *answer {
	t.Helper()
	conn := w.dial(t)
	defer conn.Close()
	// A gateway that refuses may close before it has read the whole body.
	go func() { _, _ = io.WriteString(conn, request) }()
	return w.read(t, mark, request, bufio.NewReader(conn))
}

func (w *world) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.http)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func (w *world) read(t *testing.T, mark, request string, from *bufio.Reader) *answer {
	t.Helper()
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(from, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.200q: %v", request, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%.200q: %v", request, err)
	}
	return &answer{status: response.StatusCode, header: response.Header, body: string(body), arrivals: w.upstream.Arrivals(mark)}
}

// arrived returns the one request that reached the upstream, with the identity of the
// key, without the key, and with an answer that no cache keeps.
func (a *answer) arrived(t *testing.T, key rig.Key) *rig.Arrival {
	t.Helper()
	if len(a.arrivals) != 1 {
		t.Fatalf("%d requests reached the upstream; the client got %d %q", len(a.arrivals), a.status, a.body)
	}
	arrival := a.arrivals[0]
	checkArrival(t, arrival, key)
	return arrival
}

// checkArrival checks what holds for all that reaches the upstream.
func checkArrival(t *testing.T, arrival *rig.Arrival, key rig.Key) {
	t.Helper()
	for name, want := range map[string]string{"X-Scope-Orgid": key.Organization, "X-Api-Key-Id": key.ID, "X-Api-Key-Name": key.Name} {
		if got := arrival.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("the upstream got %s %q, want %q", name, got, want)
		}
	}
	for name, values := range arrival.Header {
		if strings.Contains(strings.Join(values, " "), key.Plaintext) || folded(name) == "x-api-key" {
			t.Errorf("the upstream got the key, in %s", name)
		}
	}
}

// folded is the name as the most careless server reads it.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}

// refused checks that nothing reached the upstream, and what the client was told.
func (a *answer) refused(t *testing.T, status int, reason string) {
	t.Helper()
	a.notAllowed(t)
	var problem struct {
		Type, Title, Detail, Reason string
		Status                      int
	}
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil {
		t.Errorf("%d: %q is no problem body: %v", a.status, a.body, err)
	}
	if a.status != status || problem.Reason != reason || problem.Status != status || problem.Title == "" || problem.Detail == "" ||
		problem.Type != "https://auth.hexcovery.io/problems/"+reason {
		t.Errorf("%d %q, want %d %s", a.status, a.body, status, reason)
	}
	a.refusalHeaders(t, strings.HasSuffix(reason, "_session"))
}

// refusalHeaders checks what beside the body a refusal consists of; session is whether
// it is a session that was refused (RFC 6750, section 3).
func (a *answer) refusalHeaders(t *testing.T, session bool) {
	t.Helper()
	challenge := `ApiKey realm="hexcovery", header="X-API-Key"`
	if session {
		challenge = `Bearer realm="hexcovery", error="invalid_token", ` + challenge
	}
	if got := a.header["Www-Authenticate"]; a.status == http.StatusUnauthorized && (len(got) != 1 || got[0] != challenge) {
		t.Errorf("%d has WWW-Authenticate %q, want %q", a.status, got, challenge)
	}
	if got := a.header.Get("Retry-After"); a.status == http.StatusServiceUnavailable && got != "1" {
		t.Errorf("%d has Retry-After %q", a.status, got)
	}
	if got := a.header["X-Auth-Problem"]; got != nil {
		t.Errorf("%d has what is for gateways: %q", a.status, got)
	}
	if got := a.header["Content-Type"]; len(got) != 1 || got[0] != "application/problem+json" {
		t.Errorf("%d has Content-Type %q", a.status, got)
	}
	if got := a.header["Cache-Control"]; len(got) != 1 || got[0] != "no-store" {
		t.Errorf("%d has Cache-Control %q", a.status, got)
	}
}

// notAllowed checks that nothing reached the upstream, and that nothing tells the
// client, or a client of the client, otherwise.
func (a *answer) notAllowed(t *testing.T) {
	t.Helper()
	if len(a.arrivals) != 0 {
		t.Errorf("it reached the upstream: %+v", a.arrivals[0])
	}
	if a.status < 400 {
		t.Errorf("the client got %d %q", a.status, a.body)
	}
	for name := range a.header {
		if name == "X-Scope-Orgid" || name == "X-Api-Key-Id" || name == "X-Api-Key-Name" {
			t.Errorf("a refusal has %s", name)
		}
	}
}

// with returns the header that carries the key.
func with(key rig.Key) string { return "X-API-Key: " + key.Plaintext }
