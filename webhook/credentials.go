// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"strings"

	"github.com/hexcovery/apikey-operator/internal/keys"
)

// credential is what a request shows: one of the two is set.
type credential struct {
	// key is an API key.
	key string
	// session is a bearer token.
	session string
}

// extract returns the one credential that a request carries. Otherwise the Reason is
// not Allowed, and says why there is none. What it is worth is not judged here.
//
// A request with two credentials is refused rather than ranked: whichever this
// server took, another one on the way could take the other.
func extract(header http.Header, sessions bool) (credential, Reason) {
	for name := range header {
		// Hardly any header gets further than its length.
		switch len(name) {
		case len(keyHeader):
			if looksLike(name, keyHeader) {
				return credential{}, AmbiguousCredentials
			}
		case len(authorizationHeader):
			if looksLike(name, authorizationHeader) {
				return credential{}, AmbiguousCredentials
			}
		}
	}
	values, authorization := header[keyHeader], header[authorizationHeader]
	switch {
	case len(values) == 0 && len(authorization) == 0:
		return credential{}, MissingKey
	case len(values) == 0:
		return extractSession(authorization, sessions)
	case len(values) > 1 || len(authorization) > 0 || strings.Contains(values[0], ","):
		return credential{}, AmbiguousCredentials
	case values[0] == "":
		return credential{}, MissingKey
	}
	return credential{key: values[0]}, Allowed
}

// extractSession returns the bearer token of a request without a key (RFC 6750,
// section 2.1), if sessions are accepted at all.
func extractSession(authorization []string, accepted bool) (credential, Reason) {
	for _, value := range authorization {
		scheme, token, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "bearer") || holdsKey(token) {
			return credential{}, WrongHeader
		}
	}
	_, token, _ := strings.Cut(authorization[0], " ")
	switch {
	case !accepted:
		return credential{}, SessionsNotAccepted
	case len(authorization) > 1 || strings.Contains(token, ","):
		return credential{}, AmbiguousCredentials
	case !isToken68(token):
		return credential{}, InvalidSession
	}
	return credential{session: token}, Allowed
}

// holdsKey reports whether a bearer token is an API key, a part of one, or something
// with a key in it. A JSON Web Token may hold the four characters of the prefix by
// chance, one in some ten thousand does; a whole key, with its checksum, is no chance.
func holdsKey(token string) bool {
	if !strings.Contains(token, keys.Prefix) {
		return false
	}
	if !strings.HasPrefix(token, "eyJ") || strings.Count(token, ".") != 2 { // eyJ is base64url for {"
		return true
	}
	for rest := token; ; rest = rest[len(keys.Prefix):] {
		at := strings.Index(rest, keys.Prefix)
		if at < 0 {
			return false
		}
		rest = rest[at:]
		if _, err := keys.Parse(rest[:min(len(rest), keys.Length)]); err == nil {
			return true
		}
	}
}

// isToken68 reports whether a value is one token (RFC 9110, section 11.2), so that
// nobody finds two in it, or a parameter.
func isToken68(value string) bool {
	token := strings.TrimRight(value, "=")
	for _, c := range []byte(token) {
		if fold(c) == '-' && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return token != ""
}
