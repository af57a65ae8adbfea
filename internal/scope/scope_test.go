// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package scope

import (
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func TestEveryScopeOfTheAPIHasABitOfItsOwn(t *testing.T) {
	var seen Set
	for _, scope := range v1alpha1.AllScopes() {
		bit := Of(scope)
		if !Known(scope) || bit.Empty() || !seen.Intersect(bit).Empty() {
			t.Errorf("scope %s has bit %b, the ones before %b", scope, bit, seen)
		}
		seen |= bit
	}
	if seen != All() {
		t.Errorf("All is %b, want %b", All(), seen)
	}
}

func TestWhatIsNotKnownIsNotGranted(t *testing.T) {
	if Known("admin") || !Of("admin").Empty() {
		t.Error("an unknown scope is in a set")
	}
	if Of("admin", v1alpha1.ScopeQuery) != Of(v1alpha1.ScopeQuery) {
		t.Error("an unknown scope has changed a set")
	}
}

func TestSets(t *testing.T) {
	both := Of(v1alpha1.ScopeHeartbeats, v1alpha1.ScopeIngest)
	ingest := Of(v1alpha1.ScopeIngest)
	switch {
	case !both.Contains(ingest) || ingest.Contains(both):
		t.Error("Contains")
	case both.Intersect(ingest) != ingest:
		t.Error("Intersect")
	case both.Without(ingest) != Of(v1alpha1.ScopeHeartbeats):
		t.Error("Without")
	case both.String() != "ingest, heartbeats" || Set(0).String() != "":
		t.Errorf("String: %q", both)
	}
}
