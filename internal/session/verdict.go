// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

// Session is what an accepted token says.
type Session struct {
	// Organization is the id of the one organization that the session is for.
	Organization string
}

// Verdict is what a token is worth. Its zero value does not accept.
type Verdict uint8

const (
	// Undecided: the issuer's keys are not known, are too old, or may not be all.
	Undecided Verdict = iota
	// Accepted is the only Verdict that comes with a Session.
	Accepted
	// Malformed: no JSON Web Token, too long, not signed with an algorithm that is
	// accepted, or without what each token has to say.
	Malformed
	// Untrusted: signed with no key of the issuer.
	Untrusted
	// WrongIssuer: signed with a key of the issuer, in another issuer's name.
	WrongIssuer
	// WrongAudience: made for another program.
	WrongAudience
	// Expired: valid until some time ago.
	Expired
	// NotYetValid: issued or valid only later than now.
	NotYetValid
	// NoOrganization: without the claim for the organization, or with one that is no
	// organization's id.
	NoOrganization

	verdictCount
)

var verdictNames = [verdictCount]string{
	Undecided: "undecided", Accepted: "accepted", Malformed: "malformed", Untrusted: "untrusted", WrongIssuer: "wrong_issuer",
	WrongAudience: "wrong_audience", Expired: "expired", NotYetValid: "not_yet_valid", NoOrganization: "no_organization",
}

// String is the verdict's name in metrics.
func (v Verdict) String() string {
	if v >= verdictCount {
		return verdictNames[Undecided]
	}
	return verdictNames[v]
}
