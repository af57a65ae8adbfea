// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
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
	var mu sync.Mutex
	var out bytes.Buffer
	writer := writerFunc(func(p []byte) (int, error) { // each Recorder writes by itself
		mu.Lock()
		defer mu.Unlock()
		return out.Write(p)
	})
	random := rand.New(rand.NewPCG(1, 2))
	var running []*Recorder
	for range 3 {
		running = append(running, NewRecorder(writer, testclock.NewFakePassiveClock(noon), WithProgram("manager")))
	}
	for i := range n {
		r := random.IntN(len(running))
		if i%(n/10+1) == n/20 { // a restart
			if err := running[r].Close(); err != nil {
				t.Fatal(err)
			}
			running[r] = NewRecorder(writer, testclock.NewFakePassiveClock(noon), WithProgram("manager"))
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
	for _, change := range []struct {
		name string
		// want is in the only defect; there is none where it is empty.
		want string
		do   func(lines []string, i int) []string
	}{
		{"deleted", "is missing before", func(l []string, i int) []string { return slices.Delete(l, i, i+1) }},
		{"altered", "was altered", func(l []string, i int) []string {
			l[i] = strings.Replace(l[i], `"erin"`, `"evil"`, 1)
			return l
		}},
		{"altered, and its hash made anew", "one of them was replaced", func(l []string, i int) []string { l[i] = resealed(t, l[i]); return l }},
		{"altered in a copy", "2 different lines have the number", func(l []string, i int) []string { return append(l, resealed(t, l[i])) }},
		{"its hash altered", "was altered", func(l []string, i int) []string {
			end := len(l[i]) - len(hashEnd)
			l[i] = l[i][:end-1] + string(l[i][end-1]^1) + l[i][end:]
			return l
		}},
		{"cut off", "is missing before", func(l []string, i int) []string { l[i] = l[i][:len(l[i])/2]; return l }},
		{"replaced by something else", "not an audit line", func(l []string, i int) []string { l[i] = "nothing happened"; return l }},
		{"emptied", "is missing before", func(l []string, i int) []string { l[i] = ""; return l }},
		{"repeated", "", func(l []string, i int) []string { return slices.Insert(l, i, l[i]) }},
		{"repeated later", "", func(l []string, i int) []string { return slices.Insert(l, min(len(l), i+1000), l[i]) }},
		{"moved", "", func(l []string, i int) []string {
			moved := l[i]
			l = slices.Delete(l, i, i+1)
			return slices.Insert(l, max(0, i-500), moved)
		}},
	} {
		t.Run(change.name, func(t *testing.T) {
			i := random.IntN(many - 1)
			for last(whole, i) || !strings.Contains(whole[i], `"erin"`) {
				i = random.IntN(many - 1)
			}
			changed := change.do(slices.Clone(whole), i)
			if slices.Equal(changed, whole) {
				t.Fatalf("line %d was not changed", i+1)
			}
			defects, _ := verified(t, text(changed))
			found := slices.ContainsFunc(defects, func(d Defect) bool { return strings.Contains(d.Problem, change.want) })
			if found != (change.want != "") || len(defects) > 2 || change.want == "" && len(defects) > 0 {
				t.Errorf("line %d: %v", i+1, defects)
			}
		})
	}
}

// A collector writes batches, in any order, and those that it got twice, twice.
func TestTheCopiesOfACollectorAreVerifiedInAnyOrder(t *testing.T) {
	whole := trailOf(t, 500)
	random := rand.New(rand.NewPCG(3, 4))
	// shuffled are batches, some of them twice, as the file exporter writes them.
	shuffled := func(lines []string) string {
		batches := slices.Collect(slices.Chunk(lines, 7))
		batches = append(batches, batches[:20]...)
		random.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
		var out strings.Builder
		for _, batch := range batches {
			out.WriteString(otlpJSON(t, batch) + "\n")
		}
		return out.String()
	}
	if defects, summary := verified(t, shuffled(whole)); len(defects) > 0 || summary.Lines != 500 {
		t.Errorf("untouched: %v, %d lines", defects, summary.Lines)
	}
	if defects, summary := verified(t, text(whole)+shuffled(whole)); len(defects) > 0 || summary.Lines != 500 {
		t.Errorf("beside the file: %v, %d lines", defects, summary.Lines)
	}
	i := 100
	for last(whole, i) || !strings.Contains(whole[i], `"erin"`) {
		i++
	}
	gap := slices.Delete(slices.Clone(whole), i, i+1)
	if defects, _ := verified(t, shuffled(gap)); len(defects) != 1 || !strings.Contains(defects[0].Problem, "is missing before") {
		t.Errorf("a gap: %v", defects)
	}
	if defects, _ := verified(t, shuffled(gap)+text(whole)); len(defects) > 0 {
		t.Errorf("a gap that the file fills: %v", defects)
	}
	altered := slices.Clone(whole)
	altered[i] = strings.Replace(altered[i], "erin", "evil", 1)
	if defects, _ := verified(t, otlpJSON(t, altered)); len(defects) != 2 || !strings.Contains(defects[0].Problem, "was altered") {
		t.Errorf("an altered line: %v", defects)
	}
	if defects, _ := verified(t, otlpJSON(t, append(slices.Clone(whole), resealed(t, whole[i])))); len(defects) != 1 || !strings.Contains(defects[0].Problem, "2 different lines") {
		t.Errorf("two lines of one number: %v", defects)
	}
	if defects, summary := verified(t, otlpJSON(t, whole)+"\n"+otlpJSON(t, whole)[:5000]); len(defects) > 0 || summary.Pieces != 1 {
		t.Errorf("a batch that was cut off: %v", defects)
	}
}

// collector.jsonl is what OpenTelemetry's own encoder writes: two lines, the first of them twice, and a
// log record of another program.
func TestTheFileOfACollectorIsVerified(t *testing.T) {
	data, err := os.ReadFile("testdata/collector.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defects, summary := verified(t, string(data), func(o *VerifierOptions) { o.Closed = true })
	if len(defects) > 0 || summary.Lines != 3 || len(summary.Chains) != 1 {
		t.Errorf("%v, %+v", defects, summary)
	}
	if defects, _ := verified(t, strings.Replace(string(data), `\"Minted\"`, `\"Rotated\"`, 1)); len(defects) == 0 {
		t.Error("an altered copy is not found")
	}
}

// otlpJSON is a batch of lines as the file exporter of a collector writes it.
func otlpJSON(t testing.TB, lines []string) string {
	t.Helper()
	type object = map[string]any
	var records []object
	for _, line := range lines {
		records = append(records, object{
			"body":       object{"stringValue": line},
			"attributes": []object{{"key": AttributeProcess, "value": object{"stringValue": "p"}}},
		})
	}
	encoded, err := json.Marshal(object{"resourceLogs": []object{{"scopeLogs": []object{{"logRecords": records}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// resealed is a line with another content and the hash of that.
func resealed(t testing.TB, sealed string) string {
	t.Helper()
	var l Line
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

// The end of a chain is the one place that nothing follows: the last line says
// whether it is there.
func TestAMissingEndIsSeenByItsLastLine(t *testing.T) {
	var out bytes.Buffer
	r := recorder(&out)
	record(t, r, 5)
	closed(t, r)
	ended := func(o *VerifierOptions) { o.Closed = true }
	whole := lines(out.String())
	if defects, _ := verified(t, text(whole), ended); len(defects) > 0 {
		t.Error(defects)
	}
	if defects, summary := verified(t, text(whole[:4])); len(defects) > 0 || summary.Chains[0].Closed {
		t.Errorf("%v, %+v", defects, summary)
	}
	if defects, _ := verified(t, text(whole[:4]), ended); len(defects) != 1 {
		t.Error(defects)
	}
	var l Line
	if err := json.Unmarshal([]byte(whole[6]), &l); err != nil {
		t.Fatal(err)
	}
	l.Sequence, l.Previous, l.Action = 8, whole[6][len(whole[6])-len(hashEnd)-hashSize:][:hashSize], Minted
	after, _, err := l.seal()
	if err != nil {
		t.Fatal(err)
	}
	if defects, _ := verified(t, text(append(slices.Clone(whole), string(after)))); len(defects) != 1 || !strings.Contains(defects[0].Problem, "after Stopped") {
		t.Errorf("a line after the last: %v", defects)
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

func TestALineOfAnySizeIsJudged(t *testing.T) {
	whole := trailOf(t, 10)
	for _, junk := range []string{strings.Repeat("x", 10*maxLine), strings.Repeat("x", maxLine), "{}", "null", `{"schema":1}`, `{"resourceLogs":1}`} {
		changed := text(append([]string{junk}, whole...))
		if defects, summary := verified(t, changed); len(defects) != 1 || defects[0].Line != 1 || summary.Lines != 10 {
			t.Errorf("%.20s: %v, %+v", junk, defects, summary)
		}
	}
	if defects, summary := verified(t, strings.TrimSuffix(text(whole), "\n")); len(defects) > 0 || summary.Lines != 10 {
		t.Errorf("without the last newline: %v, %+v", defects, summary)
	}
	if defects, summary := verified(t, ""); len(defects) > 0 || summary.Lines != 0 {
		t.Errorf("nothing: %v, %+v", defects, summary)
	}
	if err := NewVerifier(VerifierOptions{}).Read("f", strings.NewReader(strings.Repeat("x", maxRead+1))); err == nil {
		t.Error("what is longer than can be read is no error")
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(text(trailOf(f, 20))))
	f.Add([]byte("{}\n\n"))
	f.Add([]byte(otlpJSON(f, trailOf(f, 20))))
	f.Fuzz(func(t *testing.T, data []byte) {
		v := NewVerifier(VerifierOptions{})
		if err := v.Read("f", bytes.NewReader(data)); err != nil {
			t.Errorf("what was read without an error is an error: %v", err)
		}
		if summary := v.Finish(); summary.Lines > uint64(bytes.Count(data, []byte("hash"))) {
			t.Errorf("%d lines in %d bytes", summary.Lines, len(data))
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
