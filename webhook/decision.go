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
)

// Authenticator knows what a key is worth.
type Authenticator interface {
	// Authenticate is called for each request that carries a well-formed key.
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

// claim is the request that is asked about, as a contract tells it.
type claim struct {
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
}

// decider makes decisions. It has no state of its own, and takes no locks.
type decider struct {
	authenticator Authenticator
	surface       Surface
	// sessions is nil if none are accepted.
	sessions Sessions
}

// decide answers about one request. The order of reasons is: credentials, key or
// session, request. The registry is nevertheless asked last of all, so that nothing stands
// between its check that this replica may still decide and the answer.
func (d *decider) decide(ctx context.Context, header http.Header, c *claim) decision {
	shown, refusal := extract(header, d.sessions != nil)
	if refusal != Allowed {
		return decision{reason: refusal}
	}
	if shown.session != "" {
		return d.decideSession(ctx, shown.session, c)
	}
	digest, err := keys.Parse(shown.key)
	if err != nil {
		return decision{reason: MalformedKey}
	}
	needed, refusal, detail := d.judge(surface.Key, c)

	grant, verdict := d.authenticator.Authenticate(digest)
	c.owner = ownerOf(&grant)
	switch verdict {
	case registry.Accepted:
	case registry.Unknown:
		return decision{reason: UnknownKey}
	case registry.Expired:
		return decision{reason: ExpiredKey}
	default:
		return decision{reason: Undecided}
	}
	switch {
	case refusal != Allowed:
		return decision{reason: refusal, detail: detail}
	case needed.Empty() || !grant.Scopes.Contains(needed):
		return decision{reason: ScopeMissing, detail: missing(needed, grant.Scopes)}
	case !plainOrganization(grant.Organization):
		return decision{reason: Undecided}
	}
	return decision{reason: Allowed, grant: grant}
}

// judge finds the scope that a request with a key needs, or says why it is not for
// the caller.
func (d *decider) judge(caller surface.Caller, c *claim) (needed scope.Set, refusal Reason, detail string) {
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
