// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registration is how Traefik would become an account.
package registration

// RegisterOptions ask for an account.
type RegisterOptions struct{ TermsOfServiceAgreed bool }

// RegisterEABOptions ask for one that belongs to another.
type RegisterEABOptions struct {
	TermsOfServiceAgreed bool
	Kid, HmacEncoded     string
}
