// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/hexcovery/apikey-operator/internal/keys"
)

// oversized is longer than any key, and shorter than what the auth server reads of a
// header at all; huge is longer than that.
const (
	oversized = 8 << 10
	huge      = 64 << 10
)

// junk spoils a question, each kind in its turn. Keys are new each time: nothing that
// remembers what it refused stays small.
type junk struct {
	sent int
}

// spoil changes the headers of a question so that it has to be refused. cut says that
// the server may end the connection before it has read the question.
func (j *junk) spoil(header http.Header, valid string) (cut bool, err error) {
	j.sent++
	if j.sent%1000 == 0 { // its connection is spent: a flood of its own, and not of keys
		header.Set(keyHeader, strings.Repeat("x", huge))
		return true, nil
	}
	switch j.sent % 8 {
	case 0:
		header.Set(keyHeader, fmt.Sprintf("%s%0*d", keys.Prefix, oversized, j.sent))
	case 1:
		header.Set(keyHeader, valid[:len(valid)-1-j.sent%40])
	case 2:
		header.Set(keyHeader, fmt.Sprintf("%s%049d", keys.Prefix, j.sent))
	case 3:
		header[keyHeader] = []string{valid, valid}
	case 4:
		header.Del(keyHeader)
		header.Set("Authorization", "Bearer "+valid)
	default: // the most expensive: only the registry can tell
		unknown, err := keys.Mint()
		if err != nil {
			return false, err
		}
		data, err := unknown.SecretData(nil, keys.Variables{})
		if err != nil {
			return false, err
		}
		header.Set(keyHeader, string(data["api-key"]))
	}
	return false, nil
}
