// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	testclock "k8s.io/utils/clock/testing"
)

func openTrail(t testing.TB, name string) *Recorder {
	t.Helper()
	file, err := OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return NewRecorder(file, testclock.NewFakePassiveClock(noon))
}

func record(t testing.TB, r *Recorder, n int) {
	t.Helper()
	for range n {
		if err := r.Record(Event{Action: Minted, Actor: Manager(CauseSchedule)}); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAFileIsAppendedToByOneProcessAfterTheOther(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	for range 3 {
		r := openTrail(t, name)
		record(t, r, 5)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	defects, summary := verified(t, read(t, name), func(o *VerifierOptions) { o.Closed = true })
	if len(defects) > 0 || len(summary.Chains) != 3 || summary.Lines != 21 {
		t.Errorf("%v, %+v", defects, summary)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestAFileThatIsRotatedIsLeftForANewOne(t *testing.T) {
	directory := t.TempDir()
	name, old, older := filepath.Join(directory, "audit.log"), filepath.Join(directory, "audit.log.1"), filepath.Join(directory, "audit.log.2")
	r := openTrail(t, name)
	record(t, r, 3)
	if err := os.Rename(name, old); err != nil {
		t.Fatal(err)
	}
	record(t, r, 3)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	record(t, r, 2)
	// logrotate's create makes the new one itself.
	if err := errors.Join(os.Rename(name, older), os.WriteFile(name, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	record(t, r, 2)
	closed(t, r)
	if first := lines(read(t, old)); len(first) != 4 {
		t.Errorf("%d lines in the first file", len(first))
	}
	second := read(t, older)
	third := read(t, name)
	if len(lines(second)) != 2 || len(lines(third)) != 3 {
		t.Errorf("%d and %d lines in the last files", len(lines(second)), len(lines(third)))
	}
	// Three lines went with the file that was removed.
	if defects, _ := verified(t, read(t, old)+second+third); len(defects) != 1 || !strings.Contains(defects[0].Problem, "lines 5 to 7 are missing") {
		t.Error(defects)
	}
}

func TestAFileThatCannotBeOpenedAgainKeepsLinesUntilItCan(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	name, moved := filepath.Join(directory, "audit.log"), directory+".moved"
	synctest.Test(t, func(t *testing.T) {
		r := openTrail(t, name)
		record(t, r, 2)
		if err := os.Rename(directory, moved); err != nil {
			t.Fatal(err)
		}
		record(t, r, 2)
		if err := os.Mkdir(directory, 0o700); err != nil {
			t.Fatal(err)
		}
		record(t, r, 2)
		closed(t, r)
	})
	if defects, summary := verified(t, read(t, filepath.Join(moved, "audit.log"))+read(t, name)); len(defects) > 0 || summary.Lines != 8 {
		t.Errorf("%v, %+v", defects, summary)
	}
}

// A process that dies while it writes leaves the beginning of a line: the next one
// ends it, and says so.
func TestALineThatACrashCutOffIsExplained(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	r := openTrail(t, name)
	record(t, r, 3) // and dies
	whole := read(t, name)
	if err := os.WriteFile(name, []byte(whole+whole[:100]), 0o600); err != nil {
		t.Fatal(err)
	}
	r = openTrail(t, name)
	record(t, r, 3)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if defects, summary := verified(t, read(t, name)); len(defects) > 0 || len(summary.Chains) != 2 || summary.Pieces != 1 {
		t.Errorf("%v, %+v", defects, summary)
	}
}

func TestADeviceIsAFileToo(t *testing.T) {
	file, err := OpenFile(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecorder(file, testclock.NewFakePassiveClock(noon))
	record(t, r, 1)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
