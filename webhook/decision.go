// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// Authenticator authenticates keys.
type Authenticator interface {
	// Authenticate is called for each request that carries a well-formed key, or what
	// may be a key that was issued elsewhere.
	Authenticate(keys.Digest) (registry.Grant, registry.Verdict)
	// Ready reports whether Authenticate decides.
	Ready() bool
}

// Surface says which requests are permitted at all: a *surface.Table, or a
// *surface.File, which the Server then runs.
type Surface interface {
	// Lookup is called for each request whose path has one reading. It must not block.
	Lookup(caller surface.Caller, method string, path surface.Path) (*surface.Rule, surface.Outcome)
}

// requestAttributes is the request to decide about, as a contract describes it.
type requestAttributes struct {
	method, target string
	// refusal is Allowed if the contract was kept.
	refusal Reason
	// detail says what was wrong, if anything.
	detail string
	// owner is filled in by decide, if the key is known.
	owner owner
}

// decision is the answer about one request.
type decision struct {
	reason Reason
	// detail replaces the reason's own, unless it is empty.
	detail string
	// grant is set if the reason is Allowed.
	grant registry.Grant
	// counter is that of the key, if it was accepted, also where the request was not.
	counter *usage.Counter
}

// decider makes decisions. It has no state of its own, and takes no locks.
type decider struct {
	authenticator Authenticator
	surface       Surface
	// sessions is nil if none are accepted.
	sessions Sessions
}

// decide decides about one request. The order of reasons is: too many headers, credentials,
// key or session, request. The registry is nevertheless asked last, so that nothing comes
// between its check that this replica may still decide and the answer.
func (d *decider) decide(ctx context.Context, header http.Header, c *requestAttributes) decision {
	if tooMany(header) { // before anything else looks at each of them
		return decision{reason: TooManyHeaders}
	}
	shown, refusal := extract(header, d.sessions != nil)
	if refusal != Allowed {
		return decision{reason: refusal}
	}
	if shown.session != "" {
		return d.decideSession(ctx, shown.session, c)
	}
	digest, foreign, err := recognize(shown.key)
	if err != nil {
		return decision{reason: MalformedKey}
	}
	needed, refusal, detail := d.judge(surface.Key, c)

	grant, verdict := d.authenticator.Authenticate(digest)
	if !foreign && grant.ForeignOnly {
		// Somebody has imported the hash of a key that was minted here, or by another
		// installation. Whoever still sends that key must not be served in the name of the
		// APIKey that has its hash, nor counted or audited there.
		grant, verdict = registry.Grant{}, registry.Unknown
	}
	c.owner = ownerOf(&grant)
	switch judged := reasonOfKey(&grant, verdict, foreign); {
	case judged != Allowed:
		return decision{reason: judged}
	case refusal != Allowed:
		return decision{reason: refusal, detail: detail, counter: grant.Counter}
	case needed.Empty() || !grant.Scopes.Contains(needed):
		return decision{reason: ScopeMissing, detail: missing(needed, grant.Scopes), counter: grant.Counter}
	case !plainOrganization(grant.Organization):
		return decision{reason: Undecided, counter: grant.Counter}
	}
	return decision{reason: Allowed, grant: grant, counter: grant.Counter}
}

// maxHeaders is how many header values a request may have. Browsers and agents send some
// 20, gateways and meshes add as many again; net/http bounds bytes only, and a header may
// have four of them.
const maxHeaders = 128

func tooMany(header http.Header) bool {
	count := 0
	for _, values := range header {
		count += len(values)
	}
	return count > maxHeaders
}

// recognize returns the digest of what a client sent as its key. It is foreign if it has
// not the form of a key of ours: then it may have been issued elsewhere, and is a key
// only if it was imported. Nothing that begins as our keys do is foreign: ParseForeign
// refuses it.
func recognize(key string) (digest keys.Digest, foreign bool, err error) {
	if digest, err = keys.Parse(key); err == nil {
		return digest, false, nil
	}
	digest, err = keys.ParseForeign(key)
	return digest, true, err
}

// reasonOfKey is Allowed for a key that the registry accepts, or says why it is none.
//
// A foreign text that nobody has imported is malformed, as it is where nothing is
// imported at all. While the registry cannot decide it is not: the import may be on its
// way.
func reasonOfKey(grant *registry.Grant, verdict registry.Verdict, foreign bool) Reason {
	switch verdict {
	case registry.Accepted:
		// No other text has the digest of a minted key. Should it nevertheless, its form
		// keeps it out.
		if foreign && !grant.Imported {
			return MalformedKey
		}
		return Allowed
	case registry.Unknown:
		if foreign {
			return MalformedKey
		}
		return UnknownKey
	case registry.Expired:
		return ExpiredKey
	default:
		return Undecided
	}
}

// judge finds the scope that a request with a key needs, or says why it is not for
// the caller.
func (d *decider) judge(caller surface.Caller, c *requestAttributes) (needed scope.Set, refusal Reason, detail string) {
	if c.refusal != Allowed {
		return 0, c.refusal, c.detail
	}
	path, err := surface.Judge(c.target)
	if err != nil {
		return 0, AmbiguousPath, err.Error()
	}
	if overriddenInQuery(c.target) {
		return 0, MethodOverridden, ""
	}
	rule, found := d.surface.Lookup(caller, c.method, path)
	switch found {
	case surface.Found:
		return rule.Scope, Allowed, ""
	case surface.OtherMethod:
		return 0, MethodNotAllowed, ""
	default:
		return 0, NotInSurface, ""
	}
}

func missing(needed, has scope.Set) string {
	if has.Empty() {
		return fmt.Sprintf("This request needs the scope %s; the API key has none.", needed)
	}
	return fmt.Sprintf("This request needs the scope %s; the API key has: %s.", needed, has)
}

// plainOrganization guards rule one, that what a key does stays inside its
// organization, against an id that the schema should have refused: upstreams read
// no id as "everybody" or "nobody", and a|b as both a and b.
func plainOrganization(id string) bool {
	for i := range len(id) {
		if c := id[i]; fold(c) == '-' && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return id != ""
}
