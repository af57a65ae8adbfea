// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
)

// MaxTokenBytes is the length from which on a token is refused without a look at it.
const MaxTokenBytes = 8 << 10

// algorithms are those that a token may be signed with. All are asymmetric: with
// HS256 whoever can verify can sign, and an issuer's public key would do for it.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Verifier verifies tokens of one issuer, while it runs.
type Verifier struct {
	// Collector has its metrics.
	prometheus.Collector

	issuer, audience  string
	organizationClaim string
	skew              time.Duration
	// expectations are those that go-oidc checks.
	expectations oidc.Config
	clock        clock.Clock
	client       *http.Client
	// fetchTimeout bounds an attempt to fetch keys, on the clock of the machine.
	fetchTimeout time.Duration
	metrics      *verifierMetrics
	reports      reports

	// keys are what the last attempt to fetch them has left.
	keys atomic.Pointer[knowledge]
	// begun counts the attempts that were begun.
	begun atomic.Uint64
	// wanted holds one entry if somebody waits for an attempt.
	wanted chan struct{}
	// waiting holds one entry for each request that waits for the issuer.
	waiting chan struct{}
}

// NewVerifier returns a Verifier. Until it runs, and has reached the issuer, it is
// Undecided about every token.
func NewVerifier(config Config) (*Verifier, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	v := &Verifier{
		issuer: config.Issuer, audience: config.Audience, organizationClaim: config.OrganizationClaim,
		skew:    config.ClockSkew,
		clock:   config.Clock,
		client:  newClient(config.Roots),
		reports: newReports(config.Log.WithValues("issuer", config.Issuer)),
		wanted:  make(chan struct{}, 1),
		waiting: make(chan struct{}, maxWaiting),

		fetchTimeout: defaultFetchTimeout,
	}
	v.expectations = oidc.Config{
		ClientID: config.Audience,
		// The skew is on the side of the session: it may have expired so long ago.
		Now: func() time.Time { return v.clock.Now().Add(-v.skew) },
	}
	for _, algorithm := range algorithms {
		v.expectations.SupportedSigningAlgs = append(v.expectations.SupportedSigningAlgs, string(algorithm))
	}
	v.keys.Store(&knowledge{next: make(chan struct{})})
	v.metrics = newMetrics(v)
	v.Collector = v.metrics
	return v, nil
}

// Verify verifies a token. It may wait for the issuer, for patience at most; the Session is
// set only if the Verdict is Accepted.
func (v *Verifier) Verify(ctx context.Context, token string) (Session, Verdict) {
	session, verdict := v.verify(ctx, token)
	v.metrics.verifications[verdict].Inc()
	return session, verdict
}

func (v *Verifier) verify(ctx context.Context, token string) (Session, Verdict) {
	if !isCompact(token) {
		return Session{}, Malformed
	}
	jws, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil || len(jws.Signatures) != 1 {
		return Session{}, Malformed
	}
	signed := &signature{jws: jws}
	var verdict Verdict
	if signed.keys, verdict = v.findKeys(ctx, jws); verdict != Accepted {
		return Session{}, verdict
	}
	if _, err := oidc.NewVerifier(v.issuer, signed, &v.expectations).Verify(ctx, token); err != nil {
		return Session{}, v.why(signed.payload, err)
	}
	return v.judge(signed.payload)
}

// isCompact reports whether a token looks like the compact serialization (RFC 7515,
// section 7.1): base64url does not have the line breaks that its decoder passes over.
func isCompact(token string) bool {
	if len(token) > MaxTokenBytes || strings.Count(token, ".") != 2 {
		return false
	}
	for _, c := range []byte(token) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// why says what go-oidc has refused a token for. Most of its errors differ by their
// text only, so the claims are looked at again; that it has refused stays.
func (v *Verifier) why(payload []byte, refusal error) Verdict {
	if payload == nil {
		return Untrusted
	}
	c, ok := readClaims(payload, v.organizationClaim)
	var expired *oidc.TokenExpiredError
	switch {
	case !ok || !c.dated():
		return Malformed
	case errors.As(refusal, &expired):
		return Expired
	case c.issuer() != v.issuer:
		return WrongIssuer
	case !slices.Contains(c.audience(), v.audience):
		return WrongAudience
	case v.premature(c):
		return NotYetValid
	default:
		return Malformed
	}
}

// judge looks at what go-oidc does not, and at the types of what it does: it reads
// more than one JSON as the same claim.
func (v *Verifier) judge(payload []byte) (Session, Verdict) {
	c, ok := readClaims(payload, v.organizationClaim)
	switch {
	case !ok || !c.dated():
		return Session{}, Malformed
	case c.issuer() != v.issuer:
		return Session{}, WrongIssuer
	case !slices.Contains(c.audience(), v.audience):
		return Session{}, WrongAudience
	case v.premature(c):
		return Session{}, NotYetValid
	}
	organization, ok := c.text(v.organizationClaim)
	if !ok || !isOrganizationID(organization) {
		return Session{}, NoOrganization
	}
	return Session{Organization: organization}, Accepted
}

// premature reports whether a token is from the future. go-oidc does not check iat,
// and lets in a token five minutes before its nbf, whatever the skew.
func (v *Verifier) premature(c claims) bool {
	latest := v.clock.Now().Add(v.skew)
	for _, name := range []string{"iat", "nbf"} {
		if at, ok := c.time(name); ok && at.After(latest) {
			return true
		}
	}
	return false
}

// signature is a token with the keys that it may be signed with. It is a KeySet for
// go-oidc, which then decides what else has to be right.
type signature struct {
	jws  *jose.JSONWebSignature
	keys []jose.JSONWebKey
	// payload is set if the signature is good.
	payload []byte
}

// VerifySignature implements oidc.KeySet.
func (s *signature) VerifySignature(context.Context, string) ([]byte, error) {
	for i := range s.keys {
		if payload, err := s.jws.Verify(&s.keys[i]); err == nil {
			s.payload = payload
			return payload, nil
		}
	}
	return nil, errUntrusted
}

var errUntrusted = errors.New("signed with no key of the issuer")
