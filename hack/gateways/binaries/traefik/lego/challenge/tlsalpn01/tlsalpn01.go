// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tlsalpn01 is the challenge by TLS.
package tlsalpn01

import (
	"errors"
	"time"

	"github.com/go-acme/lego/v5/challenge"
)

// ACMETLS1Protocol is the protocol's name in ALPN (RFC 8737).
const ACMETLS1Protocol = "acme-tls/1"

// ChallengeBlocks fails.
func ChallengeBlocks(_, _ string) (certificate, key []byte, err error) {
	return nil, nil, errors.ErrUnsupported
}

// SetDelay does nothing.
func SetDelay(time.Duration) challenge.Option { return nil }
