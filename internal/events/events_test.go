// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"strings"
	"testing"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
)

func TestAnEventIsBoundedAndHarmless(t *testing.T) {
	recorder := events.NewFakeRecorder(1)
	Writer{Recorder: recorder}.Warning(&corev1.Secret{}, "Reason", "Act", "%s", "a\x1b[2J\u202e"+strings.Repeat("ä", maxNote))
	note := strings.TrimPrefix(<-recorder.Events, "Warning Reason ")
	if len(note) > maxNote || !strings.HasSuffix(note, "…") {
		t.Errorf("a note of %d bytes", len(note))
	}
	for _, r := range note {
		if !unicode.IsPrint(r) {
			t.Errorf("%q is in it", r)
		}
	}
}
