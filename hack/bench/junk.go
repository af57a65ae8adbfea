// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

const (
	keyHeader = "X-Api-Key"
	// oversized is longer than any key, and shorter than what the auth server reads of a
	// header at all; huge is longer than that.
	oversized = 8 << 10
	huge      = 64 << 10
)

// question makes the headers of a question, which holds a valid key, those of number n
// of its kind, and returns the status that it has to be answered with.
type question func(header http.Header, valid string, n int) (want int, err error)

// intact leaves the question valid.
func intact(http.Header, string, int) (int, error) { return http.StatusOK, nil }

// spoil makes it junk, of each kind in its turn. Keys are new each time: nothing that
// remembers what it refused stays small.
func spoil(header http.Header, valid string, n int) (int, error) {
	if n%1000 == 999 { // its connection is spent: a flood of its own, and not of keys
		header.Set(keyHeader, strings.Repeat("x", huge))
		return http.StatusRequestHeaderFieldsTooLarge, nil
	}
	switch n % 8 {
	case 0:
		header.Set(keyHeader, fmt.Sprintf("%s%0*d", keys.Prefix, oversized, n))
	case 1:
		header.Set(keyHeader, valid[:len(valid)-1-n%40])
	case 2:
		header.Set(keyHeader, fmt.Sprintf("%s%049d", keys.Prefix, n))
	case 3:
		header[keyHeader] = []string{valid, valid}
	case 4:
		header.Del(keyHeader)
		header.Set("Authorization", "Bearer "+valid)
	default: // the most expensive: only the registry can tell
		unknown, err := keys.Mint()
		if err != nil {
			return 0, err
		}
		data, err := unknown.SecretData(nil, keys.Variables{})
		if err != nil {
			return 0, err
		}
		header.Set(keyHeader, string(data[v1alpha1.SecretKeyAPIKey]))
	}
	return http.StatusUnauthorized, nil
}
