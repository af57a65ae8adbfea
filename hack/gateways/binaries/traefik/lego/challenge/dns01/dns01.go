// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dns01 is the challenge by DNS.
package dns01

import (
	"strings"
	"time"

	"github.com/go-acme/lego/v5/challenge"
)

// Options are of a Client.
type Options struct{ RecursiveNameservers []string }

// Client would ask name servers.
type Client struct{}

// NewClient returns a Client.
func NewClient(*Options) *Client { return nil }

// SetDefaultClient does nothing.
func SetDefaultClient(*Client) {}

// CondOptions does nothing.
func CondOptions(bool, ...challenge.Option) challenge.Option { return nil }

// DisableAuthoritativeNssPropagationRequirement does nothing.
func DisableAuthoritativeNssPropagationRequirement() challenge.Option { return nil }

// DisableRecursiveNSsPropagationRequirement does nothing.
func DisableRecursiveNSsPropagationRequirement() challenge.Option { return nil }

// PropagationWait does nothing.
func PropagationWait(time.Duration, bool) challenge.Option { return nil }

// UnFqdn returns a name without the dot at its end. Traefik asks it about names of its
// certificates, whoever they are from.
func UnFqdn(name string) string { return strings.TrimSuffix(name, ".") }
