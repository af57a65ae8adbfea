// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuer is an OpenID Connect issuer for tests: real keys, which can be
// rotated, over a real socket, which can fail. What it serves and signs is
// go-oidc's oidctest; what this package adds is that it can change while it serves.
package issuer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
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

// aRSAKey is made once: that takes a while.
var aRSAKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// NewKey makes a key for RS256 or ES256. All RSA keys are one, under several IDs.
func NewKey(t testing.TB, id, algorithm string) *Key {
	t.Helper()
	key := &Key{ID: id, Algorithm: algorithm}
	var err error
	switch algorithm {
	case oidc.RS256:
		key.Private, err = aRSAKey()
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

	address string
	mu      sync.RWMutex
	server  *httptest.Server
	serves  *oidctest.Server
	keys    []*Key
	// instead answers in place of the issuer, if it is set.
	instead atomic.Pointer[http.HandlerFunc]
}

// Prepare makes an issuer that does not listen yet, but has an address.
func Prepare(t testing.TB, keys ...*Key) *Issuer {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	i := &Issuer{address: l.Addr().String(), URL: "http://" + l.Addr().String()}
	i.Publish(keys...)
	t.Cleanup(i.Stop)
	return i
}

// Start makes an issuer that serves until the test ends.
func Start(t testing.TB, keys ...*Key) *Issuer {
	t.Helper()
	i := Prepare(t, keys...)
	i.Serve(t)
	return i
}

// Serve begins to listen.
func (i *Issuer) Serve(t testing.TB) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "tcp", i.address)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: i, ReadHeaderTimeout: time.Minute}}
	i.server.Start()
}

// Stop closes the socket and all connections, so that nobody can connect.
func (i *Issuer) Stop() {
	i.mu.Lock()
	server := i.server
	i.server = nil
	i.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

// Publish replaces the keys that are published.
func (i *Issuer) Publish(keys ...*Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = slices.Clone(keys)
	i.serves = &oidctest.Server{}
	i.serves.SetIssuer(i.URL)
	for _, key := range keys {
		i.serves.PublicKeys = append(i.serves.PublicKeys, oidctest.PublicKey{PublicKey: key.Private.Public(), KeyID: key.ID, Algorithm: key.Algorithm})
	}
}

// Answer has handler answer in place of the issuer; nil ends that.
func (i *Issuer) Answer(handler http.HandlerFunc) {
	if handler == nil {
		i.instead.Store(nil)
		return
	}
	i.instead.Store(&handler)
}

// Hang has the issuer answer nothing, until the function that it returns is called.
func (i *Issuer) Hang() (release func()) {
	released := make(chan struct{})
	i.Answer(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-released:
			i.Genuine(w, r)
		case <-r.Context().Done():
		}
	})
	return sync.OnceFunc(func() {
		i.Answer(nil)
		close(released)
	})
}

func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.Requests.Add(1)
	if instead := i.instead.Load(); instead != nil {
		(*instead)(w, r)
		return
	}
	i.Genuine(w, r)
}

// Genuine answers as the issuer that it is.
func (i *Issuer) Genuine(w http.ResponseWriter, r *http.Request) {
	i.mu.RLock()
	serves := i.serves
	i.mu.RUnlock()
	serves.ServeHTTP(w, r)
}

// Claims are those of a good session of acme at a time, with changes: a nil leaves a
// claim out.
func (i *Issuer) Claims(now time.Time, changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.URL, "aud": Audience, "sub": "somebody", "organization": "acme",
		"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for name, value := range changes {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
	return claims
}
