// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// forwardAuth is pkg/middlewares/auth/forward.go.
type forwardAuth struct {
	*traefikForwardAuth

	// server is where the auth server is in a test.
	server string
	client *http.Client
	next   http.Handler
}

func (f *forwardAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, body, err := f.ask(r)
	switch {
	case errors.As(err, new(*http.MaxBytesError)): // readResponseBodyBytes
		w.WriteHeader(http.StatusUnauthorized)
		return
	case err != nil:
		w.WriteHeader(http.StatusInternalServerError)
		return
	case answer.StatusCode < http.StatusOK || answer.StatusCode >= http.StatusMultipleChoices:
		maps.Copy(w.Header(), answer.Header)
		for _, name := range hopByHopAuth {
			w.Header().Del(name)
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = w.Write(body) // whoever has gone away needs no answer
		return
	}
	for _, name := range f.AuthResponseHeaders {
		name = http.CanonicalHeaderKey(name)
		delete(r.Header, name)
		if values := answer.Header[name]; len(values) > 0 {
			r.Header[name] = slices.Clone(values)
		}
	}
	r.RequestURI = r.URL.RequestURI()
	f.next.ServeHTTP(w, r)
}

// hopByHopAuth is hopHeaders.
var hopByHopAuth = []string{"Connection", "Keep-Alive", "Te", "Trailers", "Transfer-Encoding", "Upgrade"}

// ask asks the auth server: GET, and writeHeader.
func (f *forwardAuth) ask(r *http.Request) (*http.Response, []byte, error) {
	address, err := url.Parse(f.Address)
	if err != nil {
		return nil, nil, err
	}
	address.Host = f.server
	question := &http.Request{Method: http.MethodGet, URL: address, Header: r.Header.Clone()}
	h := question.Header
	for _, value := range h["Connection"] { // RemoveConnectionHeaders
		for name := range strings.SplitSeq(value, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHopAuth {
		h.Del(name)
	}
	if !*f.TrustForwardHeader {
		deleteForwarded(h)
	}
	if h["User-Agent"] == nil {
		h.Set("User-Agent", "")
	}
	if len(f.AuthRequestHeaders) > 0 { // filterForwardRequestHeaders
		maps.DeleteFunc(h, func(name string, _ []string) bool {
			return !slices.ContainsFunc(f.AuthRequestHeaders, func(kept string) bool { return strings.EqualFold(kept, name) })
		})
	}
	addForwardedFor(h, r)
	for name, value := range map[string]string{
		"X-Forwarded-Method": r.Method, "X-Forwarded-Proto": "http", "X-Forwarded-Port": "80",
		"X-Forwarded-Host": r.Host, "X-Forwarded-Uri": r.URL.RequestURI(),
	} {
		if h[name] == nil {
			h.Set(name, value)
		}
	}
	answer, err := f.client.Do(question.WithContext(r.Context()))
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(http.MaxBytesReader(nil, answer.Body, *f.MaxResponseBodySize))
	return answer, body, err
}

// addForwardedFor adds the client's address.
func addForwardedFor(h http.Header, r *http.Request) {
	if client, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		h.Set("X-Forwarded-For", strings.Join(append(slices.Clone(h["X-Forwarded-For"]), client), ", "))
	}
}
