// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/audit"
)

// written is an audit trail of some lines.
func written(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	recorder := audit.NewRecorder(&out, clock.RealClock{}, audit.WithProgram("manager"))
	for range 10 {
		if err := recorder.Record(audit.Event{Action: audit.Minted, Actor: audit.Manager(audit.CauseSchedule)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestVerify(t *testing.T) {
	whole := written(t)
	split := strings.SplitAfter(whole, "\n")
	folder := t.TempDir()
	file := func(name string, lines ...string) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	first, second, gap := file("1", split[:5]...), file("2", split[5:]...), file("gap", append(append([]string{}, split[:5]...), split[6:]...)...)
	for _, test := range []struct {
		name      string
		arguments []string
		stdin     io.Reader
		code      int
		say       string
	}{
		{"a whole file", []string{file("whole", whole)}, nil, exitOK, "12 lines in 1 chains: 0 defects"},
		{"standard input", []string{"-closed", "-"}, strings.NewReader(whole), exitOK, "; closed"},
		{"files of a rotation", []string{"-closed", first, second}, nil, exitOK, "0 defects"},
		{"the first of them", []string{first}, nil, exitOK, "open: lines missing at its end"},
		{"the first of them, as if it were all", []string{"-closed", first}, nil, exitDefect, "ends with line 5"},
		{"the last of them", []string{second}, nil, exitDefect, "lines 1 to 5 are missing"},
		{"the last of them, on purpose", []string{"-partial", second}, nil, exitOK, "0 defects"},
		{"a file with a gap", []string{gap}, nil, exitDefect, gap + ":6: process "},
		{"the files of a rotation in any order", []string{"-closed", second, first, second}, nil, exitOK, "12 lines in 1 chains: 0 defects"},
		{"a collector's file", []string{"-closed", "../../internal/audit/testdata/collector.jsonl"}, nil, exitOK, "3 lines in 1 chains: 0 defects"},
		{"a known gap", []string{"../../internal/audit/testdata/schema-1.jsonl"}, nil, exitOK, ": known gap: 7 lines dropped from "},
		{"a piece of a line", []string{file("piece", whole, split[0][:50])}, nil, exitOK, "1 lines are pieces of a line"},
		{"no file", nil, nil, exitUsage, ""},
		{"a file that does not exist", []string{filepath.Join(folder, "none")}, nil, exitUsage, ""},
		{"a folder", []string{folder}, nil, exitUsage, ""},
		{"a flag that does not exist", []string{"-x"}, nil, exitUsage, ""},
		{"help", []string{"-h"}, nil, exitOK, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout bytes.Buffer
			code, err := execute(append([]string{"audit", "verify"}, test.arguments...), test.stdin, &stdout, io.Discard)
			if code != test.code || (err != nil) != (code == exitUsage) || !strings.Contains(stdout.String(), test.say) {
				t.Errorf("code %d, %v:\n%s", code, err, stdout.String())
			}
		})
	}
}

func TestWhatIsNoCommandIsSaid(t *testing.T) {
	for _, test := range []struct {
		arguments []string
		code      int
	}{
		{nil, exitOK}, {[]string{"--help"}, exitOK}, {[]string{"audit"}, exitUsage}, {[]string{"rotate"}, exitUsage},
	} {
		var stderr bytes.Buffer
		if code, _ := execute(test.arguments, nil, io.Discard, &stderr); code != test.code || !strings.Contains(stderr.String(), "audit verify") {
			t.Errorf("%v: code %d: %s", test.arguments, code, stderr.String())
		}
	}
}
