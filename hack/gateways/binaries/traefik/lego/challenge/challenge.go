// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package challenge is how a certificate authority is answered.
package challenge

import "context"

// Provider presents the answer.
type Provider interface {
	Present(ctx context.Context, domain, token, keyAuth string) error
	CleanUp(ctx context.Context, domain, token, keyAuth string) error
}

// Option is of one of the challenges.
type Option func()
