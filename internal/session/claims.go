// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	kjson "sigs.k8s.io/json"
)

// registered are the claims that decide, but for that of the organization.
var registered = []string{"iss", "aud", "exp", "nbf", "iat"}

// claims are what a token says.
type claims map[string]json.RawMessage

// readClaims reads claims that have one reading. A claim that comes twice, or once as
// exp and once as EXP, is read in one way here and in another by some upstream.
func readClaims(payload []byte, organization string) (claims, bool) {
	c := claims{}
	repeated, err := kjson.UnmarshalStrict(payload, &c)
	if err != nil || len(repeated) > 0 || c == nil {
		return nil, false
	}
	decide := registered
	if _, there := c[organization]; there {
		decide = append(slices.Clone(registered), organization)
	}
	for name := range c {
		for _, decides := range decide {
			// As encoding/json folds names, and so go-oidc: iſs is iss to both.
			if name != decides && strings.EqualFold(name, decides) {
				return nil, false
			}
		}
	}
	return c, true
}

// dated reports whether the times of a token are what RFC 7519 says: numbers. go-oidc
// takes "1783000000", a string, for the number in it, and others do not.
func (c claims) dated() bool {
	for _, name := range []string{"exp", "iat", "nbf"} {
		// OpenID Connect Core 1.0, section 2, requires the first two.
		if _, ok := c.time(name); !ok && (name != "nbf" || c.has(name)) {
			return false
		}
	}
	return true
}

// has reports whether a claim is there. One that is null is not.
func (c claims) has(name string) bool {
	value, ok := c[name]
	return ok && string(value) != "null"
}

// text returns a claim that is a string.
func (c claims) text(name string) (string, bool) {
	var value any
	if json.Unmarshal(c[name], &value) != nil {
		return "", false
	}
	s, ok := value.(string)
	return s, ok
}

// maxNumericDate is 9999-12-31T23:59:59Z.
const maxNumericDate = 253402300799

// time returns a claim that is a NumericDate (RFC 7519, section 2), and not before 1970:
// no token is older than that.
func (c claims) time(name string) (time.Time, bool) {
	var seconds float64
	if !c.has(name) || json.Unmarshal(c[name], &seconds) != nil || seconds < 0 || seconds > maxNumericDate {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), true
}

func (c claims) issuer() string {
	s, _ := c.text("iss")
	return s
}

// audience is one string, or a list of them. Anything else is nobody, and so is a list
// with anything else in it.
func (c claims) audience() []string {
	if one, ok := c.text("aud"); ok {
		return []string{one}
	}
	var many []any
	if json.Unmarshal(c["aud"], &many) != nil {
		return nil
	}
	audience := make([]string, len(many))
	for i, one := range many {
		var ok bool
		if audience[i], ok = one.(string); !ok {
			return nil
		}
	}
	return audience
}

// maxOrganizationBytes is how long an Organization's id may be.
const maxOrganizationBytes = 150

// isOrganizationID reports whether an Organization may have this id. What else an
// issuer says is not passed on: upstreams read a|b as both a and b, use the id as the
// name of a folder, and it becomes the value of a header.
func isOrganizationID(id string) bool {
	if id == "" || id[0] == '.' || len(id) > maxOrganizationBytes {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
