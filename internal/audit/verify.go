// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/hexcovery/apikey-operator/internal/plain"
)

// maxRead bounds a line that a Verifier reads: a batch of a collector is one.
const maxRead = 64 << 20

// Defect is something wrong with what was verified, or a known gap.
type Defect struct {
	// File and Line, counted from 1, say where it was noticed; Line is 0 for what is missing at the end.
	File string
	Line uint64
	// Process is the chain, where one is known.
	Process string
	// Problem is for people.
	Problem string
	// Known: the chain itself says so. It is a gap and nothing that somebody did to the trail.
	Known bool
}

func (d Defect) String() string {
	where := d.File
	if d.Line > 0 {
		where = fmt.Sprintf("%s:%d", d.File, d.Line)
	}
	if d.Process == "" {
		return where + ": " + d.Problem
	}
	return fmt.Sprintf("%s: process %s: %s", where, plain.Text(d.Process), d.Problem)
}

// VerifierOptions say what is a defect.
type VerifierOptions struct {
	// Partial permits chains to begin in their middle, as after a rotation of files.
	Partial bool
	// Closed demands that each chain ends with Stopped: its program ended gracefully.
	Closed bool
	// Report is called for each defect and each known gap.
	Report func(Defect)
}

// ChainSummary is what is known of one chain in the end.
type ChainSummary struct {
	Process string
	// Lines counts the intact lines, each once; Sequence and Hash are those of the last.
	Lines    uint64
	Sequence uint64
	Hash     string
	// Closed: the last line is Stopped.
	Closed bool
}

// Summary is the result of a Verifier.
type Summary struct {
	// Lines counts the intact lines, each once.
	Lines uint64
	// Pieces counts pieces of lines: a write ended in its middle.
	Pieces uint64
	// Gaps counts known gaps, which are not among the Defects.
	Gaps, Defects uint64
	Chains        []ChainSummary
}

// Verifier checks chains in files: audit lines, or the OTLP JSON lines of a collector that hold them, in
// any order and with repetitions. It keeps some 300 bytes of each line.
type Verifier struct {
	options VerifierOptions
	chains  map[string][]link
	summary Summary
	// file and number are where the Verifier reads.
	file   string
	number uint64
}

// link is what a Verifier keeps of an intact line.
type link struct {
	sequence       uint64
	hash, previous string
	file           string
	number         uint64
	stopped        bool
	// gap, of LinesDropped, is for people.
	gap string
}

// NewVerifier returns a Verifier that has read nothing.
func NewVerifier(options VerifierOptions) *Verifier {
	return &Verifier{options: options, chains: map[string][]link{}}
}

// Read reads one file. An error means that it was not read to its end.
func (v *Verifier) Read(file string, reader io.Reader) error {
	v.file, v.number = file, 0
	scanner := bufio.NewScanner(reader)
	scanner.Buffer(nil, maxRead)
	for scanner.Scan() {
		v.number++
		switch text := scanner.Bytes(); {
		case len(text) == 0: // it ended a piece of a line
		case bytes.HasPrefix(text, []byte(exportedBegin)):
			v.readExported(text)
		default:
			v.add(text)
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("read %s after line %d: %w", file, v.number, err)
	}
	return nil
}

// The beginning of an audit line, and of an OTLP JSON line.
const (
	lineBegin     = `{"schema":`
	exportedBegin = `{"resourceLogs":`
)

// exported is what a Verifier reads of an OTLP JSON line.
type exported struct {
	ResourceLogs []struct {
		ScopeLogs []struct {
			LogRecords []struct {
				Body struct {
					StringValue string `json:"stringValue"`
				} `json:"body"`
				Attributes []struct {
					Key string `json:"key"`
				} `json:"attributes"`
			} `json:"logRecords"`
		} `json:"scopeLogs"`
	} `json:"resourceLogs"`
}

// AttributeProcess is the attribute of log records that are audit lines.
const AttributeProcess = "hexcovery.audit.process"

// readExported reads the audit lines among the log records of an OTLP JSON line.
func (v *Verifier) readExported(text []byte) {
	var e exported
	if err := json.Unmarshal(text, &e); err != nil {
		v.unreadable(text, "not an OTLP JSON line")
	}
	for _, resource := range e.ResourceLogs {
		for _, scope := range resource.ScopeLogs {
			for _, record := range scope.LogRecords {
				for _, attribute := range record.Attributes {
					if attribute.Key == AttributeProcess {
						v.add([]byte(record.Body.StringValue))
						break
					}
				}
			}
		}
	}
}

// add keeps an intact line for Finish. One that was altered counts as missing there.
func (v *Verifier) add(sealed []byte) {
	l, hash, err := open(sealed)
	switch {
	case errors.Is(err, errAltered):
		v.report(Defect{File: v.file, Line: v.number, Process: l.Process, Problem: fmt.Sprintf("line %d was %v", l.Sequence, err)})
	case err != nil:
		v.unreadable(sealed, err.Error())
	default:
		kept := link{sequence: l.Sequence, hash: hash, previous: l.Previous, file: v.file, number: v.number, stopped: l.Action == Stopped}
		if l.Action == LinesDropped && l.Since != nil {
			kept.gap = fmt.Sprintf("known gap: %d lines dropped from %s to %s", l.Count, l.Since.Format(time.RFC3339), l.Time.Format(time.RFC3339))
		}
		v.chains[l.Process] = append(v.chains[l.Process], kept)
	}
}

// unreadable reports a line, unless it is the piece that a write left which ended in its middle: the line
// that it was begun for follows or is missing, and then that is a defect.
func (v *Verifier) unreadable(text []byte, problem string) {
	begun := bytes.HasPrefix(text, []byte(lineBegin)) || bytes.HasPrefix(text, []byte(exportedBegin))
	if begun && !json.Valid(text) {
		v.summary.Pieces++
		return
	}
	v.report(Defect{File: v.file, Line: v.number, Problem: problem})
}

func (v *Verifier) report(d Defect) {
	if d.Known {
		v.summary.Gaps++
	} else {
		v.summary.Defects++
	}
	if v.options.Report != nil {
		v.options.Report(d)
	}
}

// Finish checks the chains, and sums up.
func (v *Verifier) Finish() Summary {
	for _, process := range slices.Sorted(maps.Keys(v.chains)) {
		v.check(process, v.chains[process])
	}
	return v.summary
}

func (v *Verifier) check(process string, links []link) {
	slices.SortFunc(links, func(a, b link) int {
		return cmp.Or(cmp.Compare(a.sequence, b.sequence), cmp.Compare(a.hash, b.hash))
	})
	links = slices.CompactFunc(links, func(a, b link) bool { return a.sequence == b.sequence && a.hash == b.hash })
	chain := ChainSummary{Process: process, Lines: uint64(len(links))}
	before := []link{{hash: genesis(process)}} // the lines of the number before
	if first := links[0]; v.options.Partial && first.sequence > 1 {
		before[0] = link{sequence: first.sequence - 1, hash: first.previous}
	}
	for len(links) > 0 {
		same := 1 // lines of one number: one, unless somebody wrote another
		for same < len(links) && links[same].sequence == links[0].sequence {
			same++
		}
		last := links[same-1]
		if last.gap != "" {
			v.report(Defect{File: last.file, Line: last.number, Process: process, Problem: last.gap, Known: true})
		}
		if problem := follows(before, links[:same]); problem != "" {
			v.report(Defect{File: last.file, Line: last.number, Process: process, Problem: problem})
		}
		before, links = links[:same], links[same:]
	}
	chain.Sequence, chain.Hash, chain.Closed = before[0].sequence, before[0].hash, before[0].stopped
	if v.options.Closed && !chain.Closed {
		v.report(Defect{File: v.file, Process: process,
			Problem: fmt.Sprintf("ends with line %d, which is not Stopped: the program runs, was killed, or lines are missing", chain.Sequence)})
	}
	v.summary.Lines += chain.Lines
	v.summary.Chains = append(v.summary.Chains, chain)
}

// follows returns what is wrong with lines of one sequence number after those before them.
func follows(before, lines []link) string {
	last, number := before[0].sequence, lines[0].sequence
	linked := slices.ContainsFunc(before, func(b link) bool {
		return slices.ContainsFunc(lines, func(l link) bool { return l.previous == b.hash })
	})
	switch {
	case len(lines) > 1:
		return fmt.Sprintf("%d different lines have the number %d", len(lines), number)
	case number == last+2:
		return fmt.Sprintf("line %d is missing before line %d", last+1, number)
	case number > last+2:
		return fmt.Sprintf("lines %d to %d are missing before line %d", last+1, number-1, number)
	case before[0].stopped:
		return fmt.Sprintf("line %d comes after Stopped", number)
	case !linked && number == 1:
		return "line 1 does not begin the chain: it was replaced"
	case !linked:
		return fmt.Sprintf("line %d does not follow line %d: one of them was replaced", number, last)
	}
	return ""
}
