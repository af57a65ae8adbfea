// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package http01 is the challenge by HTTP.
package http01

import (
	"time"

	"github.com/go-acme/lego/v5/challenge"
)

// PathPrefix is where a certificate authority asks.
const PathPrefix = "/.well-known/acme-challenge/"

// SetDelay does nothing.
func SetDelay(time.Duration) challenge.Option { return nil }
