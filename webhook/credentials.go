// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"strings"

	"github.com/hexcovery/apikey-operator/internal/keys"
)

// extract returns the one API key that a request carries. Otherwise the Reason is
// not Allowed, and says why there is none. What the key is worth is not judged here.
//
// A request with two credentials is refused rather than ranked: whichever this
// server took, another one on the way could take the other.
func extract(header http.Header) (string, Reason) {
	for name := range header {
		if imitates(name, keyHeader) {
			return "", AmbiguousCredentials
		}
	}
	values, authorization := header[keyHeader], header[authorizationHeader]
	switch {
	case len(values) == 0 && len(authorization) == 0:
		return "", MissingKey
	case len(values) == 0:
		return "", misplaced(authorization)
	case len(values) > 1 || len(authorization) > 0 || strings.Contains(values[0], ","):
		return "", AmbiguousCredentials
	case values[0] == "":
		return "", MissingKey
	}
	return values[0], Allowed
}

// misplaced says what is wrong with an Authorization header in place of a key.
func misplaced(authorization []string) Reason {
	for _, value := range authorization {
		scheme, _, _ := strings.Cut(value, " ")
		if strings.Contains(value, keys.Prefix) || !strings.EqualFold(scheme, "bearer") {
			return WrongHeader
		}
	}
	return SessionsNotAccepted
}
