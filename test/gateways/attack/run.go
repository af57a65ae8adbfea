// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hexcovery/apikey-operator/test/gateways/attack/wire"
)

// Target is a gateway that is attacked.
type Target struct {
	Name string
	// Address is for HTTP/1; HTTP2 for HTTP/2 without TLS, "" if it speaks none.
	Address, HTTP2 string
	// Upstream is what it forwards to, and nobody else.
	Upstream *Upstream
	// Keys are what its auth server knows.
	Keys *Keyring
	// PassesTrailers says that the gateway cannot keep trailers from the upstream, as
	// its page in docs/gateways tells. What is wrong only there is no bypass then.
	PassesTrailers bool
}

// Speaks reports whether the case can be sent to the target.
func (t *Target) Speaks(c *Case) bool { return c.HTTP2 == nil || t.HTTP2 != "" }

// Attack sends a case and then a request that has to work: it shows that the gateway
// lives, and meets what the case has left on a connection to the upstream. The findings
// say how the case got around the gateway.
func (t *Target) Attack(c *Case) (arrived int, findings []string, err error) {
	for _, late := range t.Upstream.Take() {
		findings = append(findings, "left by an earlier case: "+late.String())
	}
	answer, err := t.send(c)
	if err != nil {
		return 0, nil, err
	}
	requests, problem := t.health(c.ID)
	if problem != "" {
		findings = append(findings, problem)
	}
	return len(requests), append(findings, t.judge(c, answer, requests)...), nil
}

func (t *Target) judge(c *Case, answer Answer, arrived []*wire.Request) []string {
	grant := t.Keys.Grant(c.Key)
	findings := judgeAnswer(answer.Seen, grant)
	for _, request := range arrived {
		if t.PassesTrailers {
			request.Trailers = nil
		}
		if wrong := t.Keys.judge(request, grant); len(wrong) > 0 {
			findings = append(findings, strings.Join(wrong, "; ")+":\n  "+request.String())
		}
	}
	if c.Class == legitimate && (len(arrived) != 1 || answer.Status != 200) {
		findings = append(findings, fmt.Sprintf("it is harmless and has to get through: status %d, %d arrived", answer.Status, len(arrived)))
	}
	return findings
}

// health sends a request that has to work, and returns all else that has arrived.
func (t *Target) health(id string) (others []*wire.Request, problem string) {
	path := "/api/v1/annotations/" + id
	answer, err := t.send(&Case{
		ID: id, Class: legitimate, Request: crlf("GET " + path + " HTTP/1.1\nHost: hexcovery.example\nX-API-Key: ${" + healthKey + "}\nConnection: close"),
	})
	grant := t.Keys.Grant(healthKey)
	switch {
	case err != nil:
		problem = "the gateway does not answer afterwards: " + err.Error()
	case answer.Status != 200 || !strings.Contains(answer.Seen, owner(grant.Organization)):
		problem = fmt.Sprintf("a request that has to work does not: %.500q", answer.Seen)
	}
	arrived := t.Upstream.Take()
	own := slices.IndexFunc(arrived, func(r *wire.Request) bool { return r.Target == path && len(t.Keys.judge(r, grant)) == 0 })
	if own < 0 {
		return arrived, problem + fmt.Sprintf("; what arrived for it is not as it should be: %v", arrived)
	}
	return slices.Delete(arrived, own, own+1), problem
}
