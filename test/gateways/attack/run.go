// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hexcovery/apikey-operator/internal/registry"
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
	// Decisions counts those of its auth server, by reason; nil if nobody counts.
	Decisions func() map[string]float64
}

// Result is what came of a case.
type Result struct {
	Case *Case
	// Findings say how it got around the gateway.
	Findings []string
	// Arrived counts what reached the upstream.
	Arrived int
	Answer  Answer
	// Refused is who refused it: "gateway", or the auth server's reason; "" if it passed.
	Refused string
}

// Speaks reports whether the case can be sent to the target.
func (t *Target) Speaks(c *Case) bool { return c.HTTP2 == nil || t.HTTP2 != "" }

func (t *Target) address(c *Case) string {
	if c.HTTP2 != nil {
		return t.HTTP2
	}
	return t.Address
}

// Attack sends a case and then a request that has to work: it shows that the gateway
// lives, and meets what the case has left on a connection to the upstream.
func (t *Target) Attack(c *Case) (Result, error) {
	result := Result{Case: c, Arrived: 0}
	before := t.decisions()
	for _, late := range t.Upstream.Take() {
		result.Findings = append(result.Findings, "left by an earlier case: "+late.String())
	}
	address := t.address(c)
	answer, err := c.send(address, t.Keys.placeholders(address))
	if err != nil {
		return result, fmt.Errorf("%s, case %s: %w", t.Name, c.ID, err)
	}
	result.Answer = answer
	arrived, problem := t.health(c.ID)
	if problem != "" {
		result.Findings = append(result.Findings, problem)
	}
	t.judge(&result, arrived)
	result.Refused = t.refused(&result, before)
	return result, nil
}

func (t *Target) decisions() map[string]float64 {
	if t.Decisions == nil {
		return nil
	}
	return t.Decisions()
}

// grant is that of the key in whose name the case may arrive.
func (t *Target) grant(c *Case) *registry.Grant {
	if c.Key == nobody {
		return nil
	}
	grant, ok := t.Keys.Grant(c.Key)
	if !ok {
		panic("case " + c.ID + ": no key " + c.Key)
	}
	return &grant
}

func (t *Target) judge(result *Result, arrived []*wire.Request) {
	c, oracle := result.Case, Oracle{Keys: t.Keys}
	grant := t.grant(c)
	result.Arrived = len(arrived)
	for _, request := range arrived {
		if t.PassesTrailers {
			request.Trailers = nil
		}
		if findings := oracle.Judge(request, grant); len(findings) > 0 {
			result.Findings = append(result.Findings, strings.Join(findings, "; ")+":\n  "+request.String())
		}
	}
	result.Findings = append(result.Findings, oracle.JudgeAnswer(result.Answer.Seen, grant)...)
	if c.Expect == legitimate && (len(arrived) != 1 || result.Answer.Status != 200) {
		result.Findings = append(result.Findings, fmt.Sprintf("it is harmless and has to get through: status %d, %d arrived", result.Answer.Status, len(arrived)))
	}
}

// health sends a request that has to work, and returns all else that has arrived.
func (t *Target) health(id string) (others []*wire.Request, problem string) {
	path := "/api/v1/annotations/" + id
	probe := &Case{Expect: legitimate, Request: "GET " + path + " HTTP/1.1\nHost: hexcovery.example\nX-API-Key: ${" + healthKey + "}\nConnection: close\n"}
	answer, err := probe.send(t.Address, t.Keys.placeholders(t.Address))
	grant, _ := t.Keys.Grant(healthKey)
	switch {
	case err != nil:
		problem = "the gateway does not answer afterwards: " + err.Error()
	case answer.Status != 200 || !strings.Contains(answer.Seen, owner(grant.Organization)):
		problem = fmt.Sprintf("a request that has to work does not: %.500q", answer.Seen)
	}
	arrived := t.Upstream.Take()
	oracle := Oracle{Keys: t.Keys}
	own := slices.IndexFunc(arrived, func(r *wire.Request) bool { return r.Target == path && len(oracle.Judge(r, &grant)) == 0 })
	if own < 0 {
		return arrived, problem + fmt.Sprintf("; what arrived for it is not as it should be: %v", arrived)
	}
	return slices.Delete(arrived, own, own+1), problem
}

// refused says who did, by what the auth server has counted meanwhile.
func (t *Target) refused(result *Result, before map[string]float64) string {
	if result.Arrived > 0 {
		return ""
	}
	reasons := []string{}
	for reason, count := range t.decisions() {
		count -= before[reason]
		if reason == "allowed" {
			count-- // that of the request that has to work
		}
		if count > 0 {
			reasons = append(reasons, reason)
		}
	}
	if len(reasons) == 0 {
		return "gateway"
	}
	slices.Sort(reasons)
	return strings.Join(reasons, "+")
}
