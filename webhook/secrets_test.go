// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// Whatever a client does wrong, its key is found in no answer, log or metric.
func TestNothingEchoesAKey(t *testing.T) {
	h := start(t, withProxy(t, "http://"+closedAddress(t)))
	good := h.registry.accept(t, v1alpha1.AllScopes()...)
	unknown, _ := mint(t)

	var answers strings.Builder
	send := func(address, request string) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&answers, conn); err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	for _, key := range []string{good, unknown, good[:len(good)-1], good + "x"} {
		for _, place := range []string{
			"X-API-Key: %s", "X_API_Key: %s", "Authorization: Bearer %s", "Authorization: %s", "X-API-Key: %[1]s,%[1]s", "X-API-Key: %s\r\nAuthorization: Bearer %[1]s",
			"X-API-Key: %s\r\nX-Original-Method: %[1]s\r\nX-Original-URI: /%[1]s", "X-API-Key: %s\r\nX-Forwarded-Method: POST\r\nX-Forwarded-Uri: /v1/logs?%[1]s",
			"X-API-Key: %s\r\nX-Forwarded-Method: POST\r\nX-Forwarded-Uri: /%[1]s/../", "%s: X-API-Key", "X-API-Key: %s\r\nX-Scope_OrgID: %[1]s",
			"X-API-Key: %s\r\nUpgrade: %[1]s\r\nConnection: Upgrade", "X-API-Key: %s\r\nTransfer-Encoding: %[1]s", "X-API-Key: %s\r\nContent-Length: %[1]s", "X-API-Key: %s\r\nBad Name %[1]s: x",
		} {
			for _, line := range []string{
				"GET /auth/original", "GET /auth/original-url", "GET /auth/forwarded", "GET /" + key, "POST /v1/metrics?" + key, "GET /auth/original?" + key,
				"GET http://" + key + "/", "CONNECT " + key + ":443", key + " /v1/metrics", "GET /%" + key,
			} {
				for _, address := range []string{h.gateways, h.proxy} {
					send(address, raw(line, fmt.Sprintf(place, key)))
					count++
				}
			}
		}
	}
	if got := strings.Count(answers.String(), "HTTP/1.1 "); got < count {
		t.Errorf("%d answers to %d requests", got, count)
	}
	for _, status := range []string{"200", "400", "401", "403", "404", "502"} {
		if !strings.Contains(answers.String(), "HTTP/1.1 "+status) {
			t.Errorf("nothing was answered with %s", status)
		}
	}
	for what, text := range map[string]string{"answers": answers.String(), "log": h.log.String(), "metrics": h.scrape(t)} {
		for _, key := range []string{good, unknown} {
			for _, part := range []string{key[4:20], key[20:40], key[40:]} {
				if strings.Contains(text, part) || strings.Contains(strings.ToLower(text), strings.ToLower(part)) {
					t.Errorf("the %s hold a part of a key", what)
				}
			}
		}
	}
}

// closedAddress is where nobody listens.
func closedAddress(t testing.TB) string {
	t.Helper()
	l := listen(t)
	l.Close()
	return l.Addr().String()
}

// h2cClient speaks HTTP/2 without TLS, and nothing else.
func h2cClient(t testing.TB) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
