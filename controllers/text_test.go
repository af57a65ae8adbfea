// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
)

// hostile is what a tenant may write into whatever takes a text. The schema keeps most of
// it out; what it cannot, and what other programs answer, is harmless where people read it.
var hostile = map[string]string{
	"a line of its own":             "fine\n2026-01-02T12:00:00Z audit key revoked",
	"a carriage return":             "fine\rREVOKED",
	"an escape sequence":            "\x1b[2J\x1b[1;31mREVOKED\x1b[0m",
	"a title for the terminal":      "\x1b]0;owned\x07",
	"a control sequence of C1":      "\u009b31mREVOKED",
	"a right-to-left override":      "agent\u202etxt.exe",
	"isolates":                      "\u2066agent\u2069",
	"what has no width":             "a\u200bg\u2060e\ufeffnt",
	"a line separator":              "two\u2028lines",
	"tags":                          "agent\U000e0041",
	"a deletion":                    "agent\x7f",
	"no UTF-8":                      "agent\xff\xfe",
	"markup, which is for the page": "<script>alert(1)</script>",
	"a format":                      "%s %d %!v",
}

// TestWhatATenantWritesIsHarmlessWhereOthersReadIt has each text be quoted by a condition,
// an event and an audit line.
func TestWhatATenantWritesIsHarmlessWhereOthersReadIt(t *testing.T) {
	harmless := func(where, text string) {
		t.Helper()
		for _, r := range text {
			if !unicode.IsPrint(r) {
				t.Errorf("%s: %q is in %q", where, r, text)
			}
		}
	}
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			p := &pass{key: testKey(), now: noon}
			setCondition(p, v1alpha1.ConditionImported, stuck(v1alpha1.ReasonImportRefused, text))
			harmless("condition", meta.FindStatusCondition(p.key.Status.Conditions, v1alpha1.ConditionImported).Message)

			recorder := events.NewFakeRecorder(1)
			eventWriter{recorder: recorder}.notRestarted(p.key, v1alpha1.EventRestartRefused, text)
			harmless("event", <-recorder.Events)

			var line bytes.Buffer
			event := audit.Event{
				Action: audit.Refused, Object: audit.Object{Namespace: text, Name: text},
				Actor: audit.Actor{Kind: audit.ActorUser, Name: text}, Reason: text, Message: text,
			}
			if err := audit.NewRecorder(&line, clock.RealClock{}).Record(event); err != nil {
				t.Fatal(err)
			}
			for sealed := range strings.Lines(line.String()) {
				harmless("audit", strings.TrimSuffix(sealed, "\n"))
			}
			// And nothing is lost: who reads the line as JSON has the same text.
			lines := strings.Split(strings.TrimSuffix(line.String(), "\n"), "\n")
			read := audit.Event{}
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &read); err != nil {
				t.Fatal(err)
			}
			if want := strings.ToValidUTF8(text, "\ufffd"); len(read.Message) == 0 || name != "no UTF-8" && (read.Message != want || read.Actor.Name != want) {
				t.Errorf("audit: %q, want %q", read.Message, want)
			}
		})
	}
}
