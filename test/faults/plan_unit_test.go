// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"reflect"
	"testing"
)

func TestASeedGivesTheSamePlan(t *testing.T) {
	for number := range 50 {
		if first, second := newRound(7, number), newRound(7, number); !reflect.DeepEqual(first, second) {
			t.Errorf("round %d: %v, then %v", number, first, second)
		}
	}
	if reflect.DeepEqual(newRound(7, 1).actions, newRound(8, 1).actions) {
		t.Error("another seed gives the same plan")
	}
}

func TestTwoHundredRoundsHaveWhatMatters(t *testing.T) {
	for seed := range uint64(20) {
		drawn, long, overlaps, midst, rotations := map[kind]int{}, 0, 0, 0, 0
		for number := range 200 {
			r := newRound(seed, number)
			if len(r.faults) > 1 {
				overlaps++
			}
			for _, f := range r.faults {
				drawn[f.kind]++
				if (f.kind == frozen || f.kind == stunned) && f.lasts > countedOut {
					long++
				}
				for _, a := range r.actions {
					if a.deed == rotates && a.at > f.at && a.at < f.at+f.lasts {
						rotations++
					}
					if a.deed == deletes && a.at > f.at && a.at < f.at+f.lasts {
						midst++
					}
				}
			}
		}
		for _, k := range kinds {
			if drawn[k] < 2 {
				t.Errorf("seed %d: %q comes %d times in 200 rounds", seed, k, drawn[k])
			}
		}
		if long < 5 || overlaps < 30 || midst < 100 || rotations < 40 {
			t.Errorf("seed %d: %d replicas frozen until they are counted out, %d overlaps, %d deletions and %d rotations in the midst of a fault", seed, long, overlaps, midst, rotations)
		}
	}
}

func TestTheShortFormHasEachKind(t *testing.T) {
	drawn := map[kind]bool{}
	for _, r := range plan(1, 0) {
		for _, f := range r.faults {
			drawn[f.kind] = true
		}
	}
	for _, k := range kinds {
		if !drawn[k] {
			t.Errorf("%q is not in it", k)
		}
	}
}

func TestARoundCanBeAboutAKind(t *testing.T) {
	for _, k := range kinds {
		r := newRound(1, 1, k)
		if len(r.faults) != 1 || r.faults[0].kind != k || len(r.actions) == 0 {
			t.Errorf("%q: %v", k, r)
		}
	}
}
