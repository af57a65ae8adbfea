// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hexcovery/apikey-operator/internal/session"
	"github.com/hexcovery/apikey-operator/webhook"
)

type oidcOptions struct {
	issuer, audience  string
	organizationClaim string
	ca                string
	clockSkew         time.Duration
}

func (o *oidcOptions) bind(flags *flag.FlagSet) {
	flags.StringVar(&o.issuer, "oidc-issuer", "",
		"URL of the OpenID Connect issuer of dashboard sessions, equal to iss in their tokens; empty to accept no sessions")
	flags.StringVar(&o.audience, "oidc-audience", "", "audience that tokens of sessions must have in aud; required with --oidc-issuer")
	flags.StringVar(&o.organizationClaim, "oidc-organization-claim", session.DefaultOrganizationClaim,
		"claim that holds the id of the one organization that a session is for")
	flags.StringVar(&o.ca, "oidc-ca", "",
		"file with the certificates, in PEM, that the certificate of the issuer is signed by; empty for the system's")
	flags.DurationVar(&o.clockSkew, "oidc-clock-skew", session.DefaultClockSkew,
		"by how much the issuer's clock may differ from this one; an expired session is accepted for that long")
}

// check says which flag to change, and how.
func (o *oidcOptions) check(set map[string]bool) error {
	if o.issuer == "" {
		for _, name := range []string{"oidc-audience", "oidc-organization-claim", "oidc-ca", "oidc-clock-skew"} {
			if set[name] {
				return fmt.Errorf("--%s: needs --oidc-issuer, without which no sessions are accepted", name)
			}
		}
		return nil
	}
	if err := session.CheckIssuer(o.issuer); err != nil {
		return fmt.Errorf("--oidc-issuer: %w", err)
	}
	switch {
	case o.audience == "":
		return errors.New("--oidc-audience: set it to what the dashboard's tokens have in aud; without it, what the issuer made for any other program would be a session here")
	case o.organizationClaim == "":
		return errors.New("--oidc-organization-claim: set it to the claim that holds the id of the organization")
	case o.clockSkew < 0 || o.clockSkew > session.MaxClockSkew:
		return fmt.Errorf("--oidc-clock-skew %s: set it to between 0s and %s", o.clockSkew, session.MaxClockSkew)
	}
	return nil
}

// verifier makes what knows the sessions; nil if none are accepted.
func (o *oidcOptions) verifier() (webhook.Sessions, error) {
	if o.issuer == "" {
		return nil, nil
	}
	config := session.Config{
		Issuer: o.issuer, Audience: o.audience, OrganizationClaim: o.organizationClaim, ClockSkew: o.clockSkew,
		Clock: clock.RealClock{}, Log: ctrl.Log.WithName("session"),
	}
	if o.ca != "" {
		var err error
		if config.Roots, err = webhook.LoadRoots(o.ca); err != nil {
			return nil, fmt.Errorf("--oidc-ca: %w", err)
		}
	}
	verifier, err := session.NewVerifier(config)
	if err != nil {
		return nil, fmt.Errorf("dashboard sessions: %w", err)
	}
	return verifier, nil
}
