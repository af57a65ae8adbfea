// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func TestAcknowledge(t *testing.T) {
	// waiting is a first key that waits for auth servers.
	waiting := func(options ...option) *Facts { return given("a:Pending", noSecret, minted("a")).with(options...) }
	// succeeding is a successor that does.
	succeeding := func(options ...option) *Facts { return given("a:Active b:Pending", minted("b")).with(options...) }
	decide(t, map[string]row{
		// The first key.
		"auth servers are asked for what the status has": {facts: waiting(), want: "ask register key a, generation 3"},
		"a key is never published before its ack": {
			facts: waiting(loaded("a", quick)), want: "Status a:Pending", ready: "WaitingForAuthServers", serving: "Pending", stuck: "Reconciling WaitingForAuthServers"},
		"nor when the wait takes long": {
			facts: waiting(loaded("a", slow)), want: "Status a:Pending", ready: "WaitingForAuthServers", serving: "Pending", stuck: "Reconciling WaitingForAuthServers"},
		"nor without any auth server": {
			facts: waiting(loaded("a", none)), want: "Status a:Pending", ready: "NoAuthServer", serving: "NoAuthServer", stuck: "Reconciling NoAuthServer"},
		"with its ack it is": {facts: waiting(loaded("a", complete)), want: "Secret a"},
		"an ack of another generation is none": {
			facts: waiting(loaded("a", complete), spec(redescribe)), want: "ask register key a, generation 4"},
		"nor is one of another key": {facts: waiting(loaded("b", complete)), want: "ask register key a, generation 3"},
		"what was not accepted when it was asked is asked for again after the write": {
			facts: waiting(loaded("a", complete), stored(func(s *status) { s.Acceptance, s.AppliedGeneration = v1alpha1.AcceptanceWithdrawn, 0 })),
			want:  "Status a:Pending unapplied"},

		// A successor.
		"a successor is never published before its ack": {
			facts: succeeding(loaded("b", quick)), want: "Status a:Active b:Pending", ready: "Ready", serving: "Active"},
		"nor without any auth server, and the current key works": {
			facts: succeeding(loaded("b", none)), want: "Status a:Active b:Pending", ready: "Ready", serving: "Active"},
		"with its ack the current key is kept first": {facts: succeeding(loaded("b", complete), live), want: "Secret a previous"},
		"for which the Secrets are read":             {facts: succeeding(loaded("b", complete)), want: "ask Secrets"},

		// A key that works, and another generation.
		"a generation is asked about, while the key works": {facts: given("a:Active", spec(redescribe)), want: "ask revoke generation 4"},
		"what has changed in the status is written before that": {
			facts: given("a:Active", spec(scoped("ingest"))), want: "Status a:Active unapplied", ready: "Ready", serving: "Active"},
		"it takes milliseconds, and is no write": {
			facts: given("a:Active", spec(scoped("query")), stored(func(s *status) { s.Scopes = []v1alpha1.Scope{"query"} }), applied(quick)), want: "nothing"},
		"if it takes long that is said": {
			facts: given("a:Active", spec(scoped("ingest")), applied(slow)), want: "Status a:Active unapplied", ready: "Applying", serving: "Active", stuck: "Reconciling Applying"},
		"it is applied when each has acknowledged it": {
			facts: given("a:Active", spec(scoped("ingest")), applied(complete)), want: "Status a:Active", ready: "Ready", serving: "Active"},
		"a successor comes first: they wait for different auth servers": {
			facts: succeeding(spec(redescribe)), want: "ask register key b, generation 4"},

		// A key that works again.
		"a key that works again is written to be accepted first": {
			facts: given("a:Active", stored(func(s *status) { s.Acceptance, s.AppliedGeneration = v1alpha1.AcceptanceWithdrawn, generation })),
			want:  "Status a:Active unapplied", ready: "Resuming", serving: "Resuming", stuck: "Reconciling Resuming"},
		"then all are asked about both": {
			facts: given("a:Active", stored(func(s *status) { s.AppliedGeneration = 0 })), want: "ask register key a again, generation 3; revoke generation 3"},
		"it does not work for all yet, as the status says since that write": {
			facts: given("a:Active", stored(func(s *status) { s.AppliedGeneration = 0 }), loadedAgain(quick), applied(quick)), want: "nothing",
			ready: "Resuming", serving: "Resuming", stuck: "Reconciling Resuming"},
		"also when one of the two is known": {
			facts: given("a:Active", stored(func(s *status) { s.AppliedGeneration = 0 }), loadedAgain(slow), applied(complete)), want: "Status a:Active unapplied",
			ready: "Resuming", serving: "Resuming", stuck: "Reconciling Resuming"},
		"without any auth server nobody accepts it": {
			facts: given("a:Active", stored(func(s *status) { s.AppliedGeneration = 0 }), loadedAgain(none), applied(complete)), want: "Status a:Active unapplied",
			ready: "NoAuthServer", serving: "Resuming", stuck: "Reconciling NoAuthServer"},
		"it works when all have loaded it, although one has not applied the generation": {
			facts: given("a:Active", stored(func(s *status) { s.AppliedGeneration = 0 }), loadedAgain(complete), applied(slow)), want: "Status a:Active unapplied",
			ready: "Applying", serving: "Active", stuck: "Reconciling Applying"},
		"and the generation is applied when all have": {
			facts: given("a:Active", stored(func(s *status) { s.AppliedGeneration = 0 }), loadedAgain(complete), applied(complete)), want: "Status a:Active",
			ready: "Ready", serving: "Active"},
	})
}

func TestWhoIsWaitedForIsNamedAfterAWhile(t *testing.T) {
	for name, test := range map[string]struct {
		facts           *Facts
		condition, says string
	}{
		"a first key":           {given("a:Pending", noSecret, minted("a"), loaded("a", slow)), "Registered", "Waiting for 1 of 3 auth servers: east to load the key's hash."},
		"not at once":           {given("a:Pending", noSecret, minted("a"), loaded("a", quick)), "Registered", "Waiting for auth servers to load the key's hash."},
		"without auth servers":  {given("a:Pending", noSecret, minted("a"), loaded("a", none)), "Registered", "Deploy the auth server."},
		"a successor":           {given("a:Active b:Pending", minted("b"), loaded("b", slow)), "Rotated", "Waiting for 1 of 3 auth servers: east to load the key's hash."},
		"a key that is resumed": {given("a:Active", stored(func(s *status) { s.AppliedGeneration = 0 }), loadedAgain(slow), applied(slow)), "Registered", "Waiting for 1 of 3 auth servers: east to load the key's hash."},
		"a generation":          {given("a:Active", spec(scoped("ingest")), applied(slow)), "Ready", "Waiting for 1 of 3 auth servers: east to apply generation 4."},
	} {
		plan := Decide(test.facts)
		if got := condition(&plan.Status, test.condition).Message; !strings.Contains(got, test.says) {
			t.Errorf("%s: %q", name, got)
		}
		if len(plan.Waits) == 0 {
			t.Errorf("%s: the wait is given up", name)
		}
	}
}
