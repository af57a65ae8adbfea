// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"testing"
	"time"
)

func TestNamespacesTakeTurnsToLookAtWorkloads(t *testing.T) {
	var looks turns
	now := noon
	for i := range 3 {
		if took := looks.take("busy", now); took != (i == 0) {
			t.Fatalf("look %d of a namespace: %t", i, took)
		}
	}
	if looks.take("other", now) {
		t.Fatal("two looks at a time")
	}
	looks.release()
	// The one that waits in the busy namespace came first.
	if looks.take("other", now) || !looks.take("busy", now) || looks.take("busy", now) {
		t.Fatal("not in the order in which they came")
	}
	looks.release()
	now = now.Add(restartRetry)
	for range 100 {
		if looks.take("busy", now) {
			t.Fatal("the busy namespace looks again before the other's turn")
		}
	}
	if !looks.take("other", now) {
		t.Fatal("the other waits for more than one look")
	}
}

func TestTurnOfANamespaceThatNoLongerAsks(t *testing.T) {
	var looks turns
	looks.take("busy", noon)
	looks.take("gone", noon)
	looks.take("other", noon)
	looks.release()
	later := noon.Add(turnKept)
	if looks.take("other", later) {
		t.Error("a namespace that may still ask was passed over")
	}
	if !looks.take("other", later.Add(time.Millisecond)) {
		t.Error("a namespace that does not ask has others wait")
	}
}

func TestTurnsAreBounded(t *testing.T) {
	var looks turns
	looks.take("busy", noon)
	for i := range 2 * turnsKept {
		looks.take(fmt.Sprint("waiting-", i), noon)
	}
	if len(looks.waiting) != turnsKept {
		t.Errorf("%d wait", len(looks.waiting))
	}
}
