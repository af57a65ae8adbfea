// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var replaced = time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)

// documented is the page whose table of decisions is the test's.
const documented = "../../docs/rotation.md"

// row is one line of the table in the docs.
type row struct {
	successor, old, age, servers string
	want                         Decision
}

func (r row) name() string { return strings.Join([]string{r.successor, r.old, r.age, r.servers}, ", ") }

// documentedRows reads the table in the docs.
func documentedRows(t *testing.T) []row {
	t.Helper()
	file, err := os.Open(documented)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var rows []row
	for lines := bufio.NewScanner(file); lines.Scan(); {
		cells := strings.Split(strings.ReplaceAll(lines.Text(), "`", ""), "|")
		if len(cells) != 8 || strings.HasPrefix(cells[1], " successor") || strings.HasPrefix(cells[1], " ---") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		want := Decision{Kept: Reason(cells[6])}
		if cells[5] == "revoked" {
			want = Decision{Revoked: v1alpha1.RevocationReason(cells[6])}
		}
		rows = append(rows, row{cells[1], cells[2], cells[3], cells[4], want})
	}
	return rows
}

// TestRetirementDecisions is the table of the docs, which has every combination.
func TestRetirementDecisions(t *testing.T) {
	overlap := Bounds{Min: 15 * time.Minute, Idle: time.Hour, Max: 168 * time.Hour}
	ages := map[string]time.Duration{"before min": 14 * time.Minute, "between": 20 * time.Hour, "after max": 168 * time.Hour}
	seen := map[string]bool{}
	for _, r := range documentedRows(t) {
		t.Run(r.name(), func(t *testing.T) {
			age, ok := ages[r.age]
			if !ok {
				t.Fatalf("no such age: %q", r.age)
			}
			now := replaced.Add(age)
			facts := Facts{Since: replaced, KnownUntil: now.Add(-10 * time.Second)}
			switch r.servers {
			case "all heard":
			case "one unreachable":
				// It has not been heard for as long as somebody has been cut off from it.
				facts.KnownUntil = replaced.Add(-time.Minute)
			default:
				t.Fatalf("no such servers: %q", r.servers)
			}
			facts.SuccessorUsed = r.successor == "used"
			if r.old == "used" {
				facts.LastUsed = now.Add(-time.Minute)
			}
			got := Retire(now, facts, overlap)
			if got.Revoked != r.want.Revoked || got.Kept != r.want.Kept {
				t.Errorf("got %+v, want %+v", got, r.want)
			}
			if got.Kept != "" && (got.Again <= 0 || got.Again > overlap.Max) {
				t.Errorf("looks again after %s", got.Again)
			}
		})
		seen[r.name()] = true
	}
	if len(seen) != 2*2*3*2 {
		t.Errorf("%d different rows in %s, want %d", len(seen), documented, 2*2*3*2)
	}
}

func TestRetirementAtItsEdges(t *testing.T) {
	overlap := Bounds{Min: 15 * time.Minute, Idle: time.Hour, Max: 168 * time.Hour}
	at := func(d time.Duration) time.Time { return replaced.Add(d) }
	for name, test := range map[string]struct {
		now     time.Duration
		facts   Facts
		overlap Bounds
		want    Decision
	}{
		"min to the nanosecond": {15*time.Minute - 1, Facts{SuccessorUsed: true, KnownUntil: at(15 * time.Minute)}, overlap,
			Decision{Kept: KeptForMin, Again: 1}},
		"replaced counts as used": {30 * time.Minute, Facts{SuccessorUsed: true, KnownUntil: at(30 * time.Minute)}, overlap,
			Decision{Kept: KeptInUse, Again: 30 * time.Minute}},
		"idle to the nanosecond": {2 * time.Hour, Facts{SuccessorUsed: true, LastUsed: at(time.Hour + 1), KnownUntil: at(2 * time.Hour)}, overlap,
			Decision{Kept: KeptInUse, Again: 1}},
		"idle": {2 * time.Hour, Facts{SuccessorUsed: true, LastUsed: at(time.Hour), KnownUntil: at(2 * time.Hour)}, overlap,
			Decision{Revoked: v1alpha1.RevokedUnused}},
		"idle for the clock, but not known to be yet": {2 * time.Hour, Facts{SuccessorUsed: true, LastUsed: at(time.Hour), KnownUntil: at(2*time.Hour - 1)}, overlap,
			Decision{Kept: KeptInUse, Again: 166 * time.Hour}},
		"not heard from for some minutes": {2 * time.Hour, Facts{SuccessorUsed: true, LastUsed: at(time.Hour), KnownUntil: at(2*time.Hour - tolerated - 1)}, overlap,
			Decision{Kept: KeptUnknown, Again: 166 * time.Hour}},
		"used before it was replaced": {30 * time.Minute, Facts{SuccessorUsed: true, LastUsed: at(-time.Hour), KnownUntil: at(30 * time.Minute)}, overlap,
			Decision{Kept: KeptInUse, Again: 30 * time.Minute}},
		"a rollout under way": {2 * time.Hour, Facts{SuccessorUsed: true, Moving: true, KnownUntil: at(2 * time.Hour)}, overlap,
			Decision{Kept: KeptMoving, Again: 166 * time.Hour}},
		"a rollout under way at max": {168 * time.Hour, Facts{SuccessorUsed: true, Moving: true, KnownUntil: at(168 * time.Hour)}, overlap,
			Decision{Revoked: v1alpha1.RevokedAtMax}},
		"max to the nanosecond": {168*time.Hour - 1, Facts{LastUsed: at(167 * time.Hour), KnownUntil: at(168*time.Hour - 1)}, overlap,
			Decision{Kept: KeptUnproven, Again: 1}},
		"no overlap at all": {0, Facts{}, Bounds{}, Decision{Revoked: v1alpha1.RevokedInUse}},
		"no time to be idle": {0, Facts{SuccessorUsed: true, KnownUntil: replaced}, Bounds{Max: time.Hour},
			Decision{Revoked: v1alpha1.RevokedUnused}},
	} {
		t.Run(name, func(t *testing.T) {
			test.facts.Since = replaced
			if got := Retire(at(test.now), test.facts, test.overlap); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
