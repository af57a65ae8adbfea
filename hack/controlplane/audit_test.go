// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"testing"
)

func TestParseAuditLog(t *testing.T) {
	const (
		list = `{"auditID":"a","stage":"ResponseComplete","verb":"list","requestURI":"/api/v1/pods","user":{"username":"u"},` +
			`"objectRef":{"resource":"pods"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-01-02T03:04:05.000006Z"}` + "\n"
		watchStarted  = `{"auditID":"b","stage":"ResponseStarted","verb":"watch","user":{"username":"u"},"responseStatus":{"code":200}}` + "\n"
		watchComplete = `{"auditID":"b","stage":"ResponseComplete","verb":"watch","user":{"username":"u"},"responseStatus":{"code":200}}` + "\n"
	)
	tests := []struct {
		name, log string
		want      []string
		fails     bool
	}{
		{name: "an empty log"},
		{name: "a watch counts once", log: list + watchStarted + watchComplete, want: []string{"list", "watch"}},
		{name: "a line that is being written is left for later", log: list + watchStarted[:20], want: []string{"list"}},
		{name: "a line that is no event", log: "oops\n", fails: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			trail := newAuditTrail()
			err := trail.read([]byte(test.log))
			if (err != nil) != test.fails {
				t.Fatalf("error %v, want one: %t", err, test.fails)
			}
			var verbs []string
			for _, event := range trail.events {
				verbs = append(verbs, event.Verb)
			}
			if len(verbs) != len(test.want) {
				t.Fatalf("got %q, want %q", verbs, test.want)
			}
			for i := range verbs {
				if verbs[i] != test.want[i] {
					t.Errorf("got %q, want %q", verbs, test.want)
				}
			}
		})
	}
}
