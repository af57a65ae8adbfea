// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"

	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/session"
	"github.com/hexcovery/apikey-operator/internal/surface"
)

// Sessions verifies dashboard sessions. *session.Verifier does.
type Sessions interface {
	// Verify is called for each request that carries a bearer token and no key. It
	// may wait for the issuer, shorter than gateways wait for an answer.
	Verify(ctx context.Context, token string) (session.Session, session.Verdict)
	// Run keeps up with the issuer until ctx is done.
	Run(ctx context.Context) error
}

// sessionName stands for the ID and the name of the key where there is a session
// instead. No key has it: an ID has twelve digits, a name has a namespace.
const sessionName = "session"

// Details of refused sessions, where the Reason's own is not enough.
const (
	sessionUndecided      = "This auth server cannot tell at the moment whether the session is good: it needs the issuer's keys. Try again shortly."
	sessionMalformed      = "The Authorization header does not hold a whole session: a signed JSON Web Token, with an issuer, an audience, an expiry and an organization."
	sessionUntrusted      = "This session is not signed by the issuer that is configured here, or with a key that it has withdrawn. Sign in again."
	sessionWrongIssuer    = "This session names another issuer than the one that is configured here."
	sessionWrongAudience  = "This session was issued for another program: its audience is not the one that is configured here."
	sessionNotYetValid    = "This session is not valid yet. If it is new, a clock is wrong: that of the issuer, or that of this auth server."
	sessionNoOrganization = "This session names no organization: the claim that is configured here has to hold the id of one."
	sessionMethod         = "Dashboard sessions reach this path, but not with this method."
)

// decideSession answers about a request with a session.
func (d *decider) decideSession(ctx context.Context, token string, c *requestAttributes) decision {
	s, verdict := d.sessions.Verify(ctx, token)
	if verdict != session.Accepted {
		return refuseSession(verdict)
	}
	_, refusal, detail := d.judge(surface.Session, c)
	switch refusal {
	case Allowed:
	case NotInSurface:
		return decision{reason: SessionNotPermitted}
	case MethodNotAllowed:
		return decision{reason: SessionNotPermitted, detail: sessionMethod}
	default:
		return decision{reason: refusal, detail: detail}
	}
	if !plainOrganization(s.Organization) {
		return decision{reason: Undecided}
	}
	return decision{reason: Allowed, grant: registry.Grant{Organization: s.Organization, KeyID: sessionName, Name: sessionName}}
}

// refuseSession says why, in words that hold nothing of the session.
func refuseSession(verdict session.Verdict) decision {
	switch verdict {
	case session.Malformed:
		return decision{reason: InvalidSession, detail: sessionMalformed}
	case session.Untrusted:
		return decision{reason: InvalidSession, detail: sessionUntrusted}
	case session.WrongIssuer:
		return decision{reason: InvalidSession, detail: sessionWrongIssuer}
	case session.WrongAudience:
		return decision{reason: InvalidSession, detail: sessionWrongAudience}
	case session.NotYetValid:
		return decision{reason: InvalidSession, detail: sessionNotYetValid}
	case session.NoOrganization:
		return decision{reason: InvalidSession, detail: sessionNoOrganization}
	case session.Expired:
		return decision{reason: ExpiredSession}
	default:
		return decision{reason: Undecided, detail: sessionUndecided}
	}
}
