// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
)

const (
	// maxDocumentBytes bounds what is read of an answer of the issuer. Key sets with
	// certificates in them have some ten thousand bytes.
	maxDocumentBytes = 512 << 10
	// minRSABits is what RFC 7518, section 3.3, asks for.
	minRSABits = 2048
	// idleTimeout is longer than fetchInterval and shorter than refreshInterval: only
	// attempts in a row share a connection.
	idleTimeout = 30 * time.Second
)

// newClient makes the client that asks the issuer, and nobody else.
func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: bounded{&http.Transport{
			// An issuer may be outside of the cluster, where only a proxy leads.
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			// A connection is made on after the attempt that it is for has ended.
			TLSHandshakeTimeout:    defaultFetchTimeout,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
			IdleConnTimeout:        idleTimeout,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the issuer redirects: set the URL that it redirects to, if its tokens have that in iss")
		},
	}
}

// bounded reads no more of an answer than maxDocumentBytes.
type bounded struct{ *http.Transport }

func (b bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.Transport.RoundTrip(request)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxDocumentBytes)
	}
	return response, err
}

// fetch returns the keys that the issuer publishes.
func (v *Verifier) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(ctx, v.fetchTimeout)
	defer cancel()
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, v.client), v.issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	var metadata struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if err := checkURL(metadata.Keys); err != nil {
		return nil, fmt.Errorf("discovery: jwks_uri %q: %w", metadata.Keys, err)
	}
	data, err := v.get(ctx, metadata.Keys)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	keys, err := parseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return keys, nil
}

func (v *Verifier) get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Header.Set("Cache-Control", "no-cache")
	response, err := v.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, response.Status)
	}
	return io.ReadAll(response.Body)
}

// parseKeys returns the keys of a set that tokens may be signed with. The others are
// passed over (RFC 7517, section 5): a set may hold keys for other purposes, and of
// kinds that are not known here.
func parseKeys(data []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, err
	}
	if set.Keys == nil {
		return nil, errors.New("not a key set: it has no member \"keys\"")
	}
	keys := []jose.JSONWebKey{}
	for _, raw := range *set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && usableKey(&key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func usableKey(key *jose.JSONWebKey) bool {
	if key.KeyID == "" || key.Use != "" && key.Use != "sig" {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	default: // symmetric, or private, which should not be there
		return false
	}
}
