// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
)

const (
	// DefaultOrganizationClaim is the claim that names the organization.
	DefaultOrganizationClaim = "organization"
	// DefaultClockSkew is by how much the issuer's clock may differ from this one.
	DefaultClockSkew = 30 * time.Second
	// MaxClockSkew bounds it: it is for how long an expired session is still let in.
	MaxClockSkew = 5 * time.Minute
)

// Config configures a Verifier.
type Config struct {
	// Issuer is the URL of the issuer, to the letter what its tokens say in iss.
	Issuer string
	// Audience is what tokens have to say in aud.
	Audience string
	// OrganizationClaim names the claim that holds the organization's id.
	OrganizationClaim string
	// ClockSkew is by how much the issuer's clock may differ from this one.
	ClockSkew time.Duration
	// Roots are what the issuer's certificate is to be signed by; nil for the system's.
	Roots *x509.CertPool

	// Clock is the real one, but in tests.
	Clock clock.Clock
	// Log never gets a token.
	Log logr.Logger
}

// validate returns what is wrong, and how to correct it.
func (c *Config) validate() error {
	if err := CheckIssuer(c.Issuer); err != nil {
		return fmt.Errorf("issuer %q: %w", c.Issuer, err)
	}
	if c.Audience == "" {
		return errors.New("audience: is empty, so tokens that the issuer made for other programs would be sessions here: set it to what the dashboard's tokens have in aud")
	}
	if c.OrganizationClaim == "" {
		return errors.New("organization claim: is empty: name the claim that holds the id of the organization")
	}
	if c.ClockSkew < 0 || c.ClockSkew > MaxClockSkew {
		return fmt.Errorf("clock skew %s: set it to between 0s and %s, for so long an expired session is let in", c.ClockSkew, MaxClockSkew)
	}
	return nil
}

// CheckIssuer says what is wrong with an issuer's URL (OpenID Connect Core 1.0, section
// 2), and how to correct it.
func CheckIssuer(s string) error {
	if strings.ContainsAny(s, "?#@") {
		return errors.New("must not have a user, a query or a fragment: leave them out")
	}
	return checkURL(s)
}

// checkURL refuses a URL that keys must not be fetched from.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("not a URL with a host: write it as https://HOST or https://HOST/PATH")
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	default:
		return errors.New("use https://: whoever can change what the issuer answers on the way can replace its keys, and sign sessions of any organization (http:// is for loopback addresses)")
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
