// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
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
	config *traefikForwardAuth
	// address is where the auth server is in a test.
	address string
	client  *http.Client
	next    http.Handler
}

func (f *forwardAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	question, err := f.question(r)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	answer, err := f.client.Do(question)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	defer answer.Body.Close()
	body, ok := f.body(w, answer)
	if !ok {
		return
	}
	if answer.StatusCode < http.StatusOK || answer.StatusCode >= http.StatusMultipleChoices {
		maps.Copy(w.Header(), answer.Header)
		for _, name := range hopByHopAuth {
			w.Header().Del(name)
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = w.Write(body) // whoever has gone away needs no answer
		return
	}
	for _, name := range f.config.AuthResponseHeaders {
		name = http.CanonicalHeaderKey(name)
		delete(r.Header, name)
		if values := answer.Header[name]; len(values) > 0 {
			r.Header[name] = slices.Clone(values)
		}
	}
	r.RequestURI = r.URL.RequestURI()
	f.next.ServeHTTP(w, r)
}

// body is readResponseBodyBytes: an answer that is too long is a 401.
func (f *forwardAuth) body(w http.ResponseWriter, answer *http.Response) ([]byte, bool) {
	reader := io.Reader(answer.Body)
	if limit := f.config.MaxResponseBodySize; limit != nil {
		reader = io.LimitReader(reader, *limit+1)
	}
	body, err := io.ReadAll(reader)
	switch {
	case err != nil:
		w.WriteHeader(http.StatusInternalServerError)
		return nil, false
	case f.config.MaxResponseBodySize != nil && int64(len(body)) > *f.config.MaxResponseBodySize:
		w.WriteHeader(http.StatusUnauthorized)
		return nil, false
	}
	return body, true
}

// hopByHopAuth is hopHeaders.
var hopByHopAuth = []string{"Connection", "Keep-Alive", "Te", "Trailers", "Transfer-Encoding", "Upgrade"}

// question is the request to the auth server: GET, and writeHeader.
func (f *forwardAuth) question(r *http.Request) (*http.Request, error) {
	address, err := url.Parse(f.config.Address)
	if err != nil {
		return nil, err
	}
	address.Host = f.address
	question, err := http.NewRequestWithContext(r.Context(), http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, err
	}
	h := r.Header.Clone()
	for _, value := range h["Connection"] { // RemoveConnectionHeaders
		for name := range strings.SplitSeq(value, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHopAuth {
		h.Del(name)
	}
	if !*f.config.TrustForwardHeader {
		deleteForwarded(h)
	}
	if h["User-Agent"] == nil {
		h.Set("User-Agent", "")
	}
	question.Header = f.filtered(h)
	f.forwarded(r, question.Header)
	return question, nil
}

// filtered is filterForwardRequestHeaders.
func (f *forwardAuth) filtered(h http.Header) http.Header {
	if len(f.config.AuthRequestHeaders) == 0 {
		return h
	}
	kept := http.Header{}
	for _, name := range f.config.AuthRequestHeaders {
		if name = http.CanonicalHeaderKey(name); len(h[name]) > 0 {
			kept[name] = h[name]
		}
	}
	return kept
}

// forwarded sets what is not there yet.
func (f *forwardAuth) forwarded(r *http.Request, h http.Header) {
	if client, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		h.Set("X-Forwarded-For", strings.Join(append(slices.Clone(h["X-Forwarded-For"]), client), ", "))
	}
	for name, value := range map[string]string{
		"X-Forwarded-Method": r.Method, "X-Forwarded-Proto": "http", "X-Forwarded-Port": "80",
		"X-Forwarded-Host": r.Host, "X-Forwarded-Uri": r.URL.RequestURI(),
	} {
		if _, ok := h[name]; !ok {
			h.Set(name, value)
		}
	}
}
