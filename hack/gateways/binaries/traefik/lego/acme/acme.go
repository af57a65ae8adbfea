// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package acme has the types that Traefik stores of an account.
package acme

// Account is an account of a certificate authority.
type Account struct{}

// ExtendedAccount is an account, and where it is.
type ExtendedAccount struct {
	Account

	Location string
}
