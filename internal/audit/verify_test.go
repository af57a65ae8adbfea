// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"
)

// many is how many lines a file has in which each change has to be found. With -short, which
// is for the race detector, they are fewer.
func many() int {
	if testing.Short() {
		return 3_000
	}
	return 100_000
}

// trailOf returns lines of several processes, one after the other and interleaved,
// as a leader, its standby and their restarts leave them in one file.
func trailOf(t testing.TB, n int) []string {
	t.Helper()
	var out bytes.Buffer
	random := rand.New(rand.NewPCG(1, 2))
	var running []*Recorder
	for range 3 {
		running = append(running, NewRecorder(&out, testclock.NewFakePassiveClock(noon), WithProgram("manager"), unhurried))
	}
	for i := range n {
		r := random.IntN(len(running))
		if i%(n/10+1) == n/20 { // a restart
			if err := running[r].Close(); err != nil {
				t.Fatal(err)
			}
			running[r] = NewRecorder(&out, testclock.NewFakePassiveClock(noon), WithProgram("manager"), unhurried)
		}
		event := Event{
			Action: Published, Object: Object{Namespace: "team", Name: fmt.Sprintf("agent-%d", i), UID: "u"},
			Actor: Actor{Kind: ActorUser, Name: "erin"}, Organization: "acme", KeyID: fmt.Sprintf("%012x", i),
		}
		if err := running[r].Record(event); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range running {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return lines(out.String())[:n]
}

func text(lines []string) string { return strings.Join(lines, "\n") + "\n" }

// last reports whether lines[i] is the last of its chain.
func last(lines []string, i int) bool {
	l, _, _ := open([]byte(lines[i]))
	return !slices.ContainsFunc(lines[i+1:], func(later string) bool { return strings.Contains(later, l.Process) })
}

func TestEveryChangeOfOneLineInAHundredThousandIsFound(t *testing.T) {
	many := many()
	whole := trailOf(t, many)
	if defects, summary := verified(t, text(whole)); len(defects) > 0 || summary.Lines != uint64(many) {
		t.Fatalf("untouched: %v, %d lines", defects, summary.Lines)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	// resealed is a line with another content and the hash of that.
	resealed := func(sealed string) string {
		var l line
		if err := json.Unmarshal([]byte(sealed), &l); err != nil {
			t.Fatal(err)
		}
		l.KeyID = "ffffffffffff"
		edited, _, err := l.seal()
		if err != nil {
			t.Fatal(err)
		}
		return string(edited)
	}
	for _, change := range []struct {
		name string
		// unseen: at the end of a chain nothing says what came after.
		unseen bool
		// near: the defect is noticed in the very line.
		near bool
		do   func(lines []string, i int) []string
	}{
		{"deleted", true, false, func(l []string, i int) []string { return slices.Delete(l, i, i+1) }},
		{"edited", false, true, func(l []string, i int) []string {
			l[i] = strings.Replace(l[i], `"erin"`, `"evil"`, 1)
			return l
		}},
		{"edited, and its hash made anew", true, false, func(l []string, i int) []string { l[i] = resealed(l[i]); return l }},
		{"its hash edited", false, true, func(l []string, i int) []string {
			end := len(l[i]) - len(hashEnd)
			l[i] = l[i][:end-1] + string(l[i][end-1]^1) + l[i][end:]
			return l
		}},
		{"cut off", false, true, func(l []string, i int) []string { l[i] = l[i][:len(l[i])/2]; return l }},
		{"repeated", false, false, func(l []string, i int) []string { return slices.Insert(l, i, l[i]) }},
		{"repeated later", false, false, func(l []string, i int) []string { return slices.Insert(l, min(len(l), i+1000), l[i]) }},
		{"moved", true, false, func(l []string, i int) []string {
			moved := l[i]
			l = slices.Delete(l, i, i+1)
			return slices.Insert(l, max(0, i-500), moved)
		}},
		{"replaced by something else", false, true, func(l []string, i int) []string { l[i] = "nothing happened"; return l }},
		{"emptied", false, true, func(l []string, i int) []string { l[i] = ""; return l }},
	} {
		t.Run(change.name, func(t *testing.T) {
			i := random.IntN(many - 1)
			for change.unseen && last(whole, i) || !strings.Contains(whole[i], `"erin"`) {
				i = random.IntN(many - 1)
			}
			changed := change.do(slices.Clone(whole), i)
			if slices.Equal(changed, whole) {
				t.Fatalf("line %d was not changed", i+1)
			}
			defects, _ := verified(t, text(changed))
			if len(defects) == 0 {
				t.Fatalf("not found at line %d", i+1)
			}
			if change.near && defects[0].Line != uint64(i+1) && !slices.ContainsFunc(defects, func(d Defect) bool { return d.Line == uint64(i+1) }) {
				t.Errorf("line %d: found as %v", i+1, defects)
			}
			if len(defects) > 3 {
				t.Errorf("one change of line %d is %d defects, of which the first is %v", i+1, len(defects), defects[0])
			}
		})
	}
	t.Run("two swapped", func(t *testing.T) {
		i := random.IntN(many / 2)
		process := whole[i][strings.Index(whole[i], `"process"`):][:40]
		j := i + 1
		for !strings.Contains(whole[j], process) {
			j++
		}
		changed := slices.Clone(whole)
		changed[i], changed[j] = changed[j], changed[i]
		if defects, _ := verified(t, text(changed)); len(defects) == 0 {
			t.Errorf("not found: lines %d and %d", i+1, j+1)
		}
	})
}

// The end of a chain is the one place that nothing follows: the last line says
// whether it is there.
func TestAMissingEndIsSeenByItsLastLine(t *testing.T) {
	var out bytes.Buffer
	r := recorder(&out)
	for range 5 {
		if err := r.Record(Event{Action: Minted}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	closed := func(o *VerifierOptions) { o.Closed = true }
	whole := lines(out.String())
	if defects, _ := verified(t, text(whole), closed); len(defects) > 0 {
		t.Error(defects)
	}
	if defects, summary := verified(t, text(whole[:4])); len(defects) > 0 || summary.Chains[0].Closed {
		t.Errorf("%v, %+v", defects, summary)
	}
	if defects, _ := verified(t, text(whole[:4]), closed); len(defects) != 1 {
		t.Error(defects)
	}
	if defects, _ := verified(t, text(append(slices.Clone(whole), strings.Replace(whole[0], "Started", "Stopped", 1)))); len(defects) == 0 {
		t.Error("a line after the last was not found")
	}
}

func TestAFileThatIsNotTheFirstIsPartial(t *testing.T) {
	whole := trailOf(t, 1000)
	partial := func(o *VerifierOptions) { o.Partial = true }
	second := text(whole[500:])
	if defects, _ := verified(t, second); len(defects) == 0 {
		t.Error("the beginning is missing, and was not missed")
	}
	if defects, _ := verified(t, second, partial); len(defects) > 0 {
		t.Error(defects)
	}
	if defects, _ := verified(t, text(slices.Delete(slices.Clone(whole[500:]), 100, 101)), partial); len(defects) == 0 {
		t.Error("a missing line was not found")
	}
	var defects []Defect
	v := NewVerifier(VerifierOptions{Report: func(d Defect) { defects = append(defects, d) }})
	for i, part := range [][]string{whole[:300], whole[300:700], whole[700:]} {
		if err := v.Read(fmt.Sprint(i), strings.NewReader(text(part))); err != nil {
			t.Fatal(err)
		}
	}
	if v.Finish(); len(defects) > 0 {
		t.Error(defects)
	}
}

// A loss that was not is no excuse for lines that were deleted.
func TestALossExplainsNothingElse(t *testing.T) {
	out := &faulty{ends: []int{-1, -1, -1, 0, 30}}
	r := recorder(out)
	for range 10 {
		_ = r.Record(Event{Action: Minted})
	}
	whole := lines(out.String())
	if defects, _ := verified(t, out.String()); len(defects) > 0 {
		t.Fatal(defects)
	}
	for i := range len(whole) - 1 {
		changed := slices.Delete(slices.Clone(whole), i, i+1)
		defects, _ := verified(t, text(changed))
		fragment := !strings.HasSuffix(whole[i], "}")
		if (len(defects) == 0) != fragment {
			t.Errorf("without line %d: %v", i+1, defects)
		}
	}
	if defects, _ := verified(t, "junk\n"+text(whole)); len(defects) != 1 {
		t.Errorf("junk: %v", defects)
	}
	if defects, _ := verified(t, text(append(slices.Clone(whole), "junk"))); len(defects) != 1 {
		t.Errorf("junk: %v", defects)
	}
}

func TestALineOfAnySizeIsJudged(t *testing.T) {
	whole := trailOf(t, 10)
	for _, junk := range []string{strings.Repeat("x", 10*maxLine), strings.Repeat("x", maxLine-1), strings.Repeat("x", maxLine), "{}", "null"} {
		changed := text(append([]string{junk}, whole...))
		if defects, summary := verified(t, changed); len(defects) != 1 || summary.Lines != 11 {
			t.Errorf("%d bytes: %v, %+v", len(junk), defects, summary)
		}
	}
	if defects, summary := verified(t, strings.TrimSuffix(text(whole), "\n")); len(defects) > 0 || summary.Lines != 10 {
		t.Errorf("without the last newline: %v, %+v", defects, summary)
	}
	if defects, summary := verified(t, ""); len(defects) > 0 || summary.Lines != 0 {
		t.Errorf("nothing: %v, %+v", defects, summary)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(text(trailOf(f, 20))))
	f.Add([]byte("{}\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v := NewVerifier(VerifierOptions{})
		if err := v.Read("f", bytes.NewReader(data)); err != nil {
			t.Errorf("what was read without an error is an error: %v", err)
		}
		if summary := v.Finish(); summary.Lines > uint64(bytes.Count(data, []byte("\n")))+1 {
			t.Errorf("%d lines in %d", summary.Lines, bytes.Count(data, []byte("\n")))
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	whole := text(trailOf(b, many()))
	b.SetBytes(int64(len(whole)))
	b.ResetTimer()
	for b.Loop() {
		v := NewVerifier(VerifierOptions{})
		if err := v.Read("f", strings.NewReader(whole)); err != nil || v.Finish().Defects > 0 {
			b.Fatal(err)
		}
	}
}
