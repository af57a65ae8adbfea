// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuer is an OpenID Connect issuer for tests: real keys, which can be
// rotated, over a real socket, which can fail. What it serves and signs is
// go-oidc's oidctest; what this package adds is that it can change while it serves.
package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
)

// Audience is what the tokens of Claims are for.
const Audience = "hexcovery-dashboard"

// Key is a key that an issuer signs with.
type Key struct {
	ID, Algorithm string
	Private       crypto.Signer
}

// rsaKey is made once: that takes a while.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// NewKey makes a key for RS256 or ES256. All RSA keys are one, under several IDs.
func NewKey(t testing.TB, id, algorithm string) *Key {
	t.Helper()
	key := &Key{ID: id, Algorithm: algorithm}
	var err error
	switch algorithm {
	case oidc.RS256:
		key.Private, err = rsaKey()
	case oidc.ES256:
		key.Private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		t.Fatalf("no keys for %s", algorithm)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Sign makes a token.
func (k *Key) Sign(claims any) string {
	payload, ok := claims.(string)
	if !ok {
		data, err := json.Marshal(claims)
		if err != nil {
			panic(err) // a test's own claims
		}
		payload = string(data)
	}
	return oidctest.SignIDToken(k.Private, k.ID, k.Algorithm, payload)
}

// Issuer serves the discovery document and the keys.
type Issuer struct {
	// URL is what the issuer is called.
	URL string
	// Requests counts what has reached it, for documents that it has.
	Requests atomic.Int64
	// Genuine answers as the issuer that it is, with the keys of the last Publish.
	Genuine http.HandlerFunc

	// server is nil while it does not listen.
	server *httptest.Server
	// answers is Genuine, or what a test has answer in its place.
	answers atomic.Pointer[http.HandlerFunc]
}

// Prepare makes an issuer that does not listen yet, but has an address.
func Prepare(t testing.TB, keys ...*Key) *Issuer {
	t.Helper()
	i := Start(t, keys...)
	i.Stop()
	return i
}

// Start makes an issuer that serves until the test ends.
func Start(t testing.TB, keys ...*Key) *Issuer {
	t.Helper()
	i := &Issuer{URL: "http://127.0.0.1:0"}
	i.Serve(t)
	i.URL = i.server.URL
	i.Publish(keys...)
	t.Cleanup(i.Stop)
	return i
}

// Serve begins to listen.
func (i *Issuer) Serve(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", strings.TrimPrefix(i.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	i.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: i}}
	i.server.Start()
}

// Stop closes the socket and all connections, so that nobody can connect.
func (i *Issuer) Stop() {
	if i.server == nil {
		return
	}
	i.server.CloseClientConnections()
	i.server.Close()
	i.server = nil
}

// Publish replaces the keys that are published, and has Genuine answer.
func (i *Issuer) Publish(keys ...*Key) {
	server := &oidctest.Server{}
	server.SetIssuer(i.URL)
	for _, key := range keys {
		server.PublicKeys = append(server.PublicKeys, oidctest.PublicKey{PublicKey: key.Private.Public(), KeyID: key.ID, Algorithm: key.Algorithm})
	}
	i.Genuine = server.ServeHTTP
	i.Answer(i.Genuine)
}

// Answer has handler answer in place of the issuer; Genuine ends that.
func (i *Issuer) Answer(handler http.HandlerFunc) { i.answers.Store(&handler) }

// Hang has the issuer answer nothing.
func (i *Issuer) Hang() {
	i.Answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.Requests.Add(1)
	(*i.answers.Load())(w, r)
}

// Claims are those of a good session of acme at a time, with changes: a nil leaves a
// claim out.
func (i *Issuer) Claims(now time.Time, changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.URL, "aud": Audience, "sub": "somebody", "organization": "acme",
		"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}
