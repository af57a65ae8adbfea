// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/hexcovery/apikey-operator/internal/plain"
)

// maxChains bounds the chains that a Verifier tells apart, some 250 bytes each. A
// program makes one at each start.
const maxChains = 100_000

// errTooManyChains is returned where the bound is reached: what follows cannot be
// verified.
var errTooManyChains = fmt.Errorf("more than %d chains: split the files by time", maxChains)

// Defect is something that is wrong with what was verified.
type Defect struct {
	// File and Line, counted from 1, say where it was noticed; Line is 0 for what is
	// missing at the end.
	File string
	Line uint64
	// Process is the chain, where one is known.
	Process string
	// Problem is for people.
	Problem string
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
	// Partial permits chains to begin in their middle, as in a file that is not the
	// first after a rotation.
	Partial bool
	// Closed demands that each chain ends with its last line: no program that still
	// runs, and none that was killed.
	Closed bool
	// Report is called for each defect, in the order in which they are noticed.
	Report func(Defect)
}

// Verifier checks the chains in files, one line after the other. Its memory grows
// with the number of chains only.
type Verifier struct {
	options VerifierOptions
	chains  map[string]*chain
	file    string
	number  uint64
	total   uint64
	defects uint64
	// unread are lines that are no lines, which a later one may explain.
	unread []Defect
}

// chain is how far a Verifier has come with one.
type chain struct {
	sequence uint64
	hash     string
	lines    uint64
	closed   bool
	// gap is where lines were missed last: if they come after all, the one that came
	// before them was moved, and not they.
	gap struct {
		sequence uint64
		hash     string
	}
}

// ChainSummary is what is known of one chain in the end.
type ChainSummary struct {
	Process string
	// Lines were read; Sequence and Hash are those of the last of them.
	Lines    uint64
	Sequence uint64
	Hash     string
	// Closed: it ends with its last line.
	Closed bool
}

// Summary is the result of a Verifier.
type Summary struct {
	Lines, Defects uint64
	Chains         []ChainSummary
}

// NewVerifier returns a Verifier that has read nothing.
func NewVerifier(options VerifierOptions) *Verifier {
	return &Verifier{options: options, chains: map[string]*chain{}}
}

// Read verifies the lines of one file. Chains go on from one file to the next. An
// error means that it could not be read to its end.
func (v *Verifier) Read(file string, reader io.Reader) error {
	v.file, v.number = file, 0
	buffered := bufio.NewReaderSize(reader, maxLine)
	for {
		sealed, tooLong, err := nextLine(buffered)
		if len(sealed) > 0 || tooLong || err == nil {
			v.number++
			v.total++
			if err := v.judge(sealed, tooLong); err != nil {
				return fmt.Errorf("%s:%d: %w", file, v.number, err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read %s: %w", file, err)
		}
	}
}

// nextLine returns the next line without its newline. One that is longer than the
// buffer is passed over.
func nextLine(reader *bufio.Reader) (sealed []byte, tooLong bool, err error) {
	sealed, err = reader.ReadSlice('\n')
	for errors.Is(err, bufio.ErrBufferFull) {
		tooLong = true
		sealed, err = reader.ReadSlice('\n')
	}
	if tooLong {
		return nil, true, err
	}
	if err == nil {
		sealed = sealed[:len(sealed)-1]
	}
	return sealed, false, err
}

// judge looks at one line.
func (v *Verifier) judge(sealed []byte, tooLong bool) error {
	if tooLong {
		v.notALine(Defect{File: v.file, Line: v.number, Problem: "longer than any audit line"})
		return nil
	}
	l, hash, err := open(sealed)
	if err != nil && !errors.Is(err, errEdited) {
		v.notALine(Defect{File: v.file, Line: v.number, Problem: err.Error()})
		return nil
	}
	c, known := v.chains[l.Process]
	if errors.Is(err, errEdited) {
		v.defect(l.Process, fmt.Sprintf("line %d was edited: %v", l.Sequence, err))
		if known && l.Sequence != c.sequence+1 || !known && l.Sequence != 1 {
			return nil // nothing that it says can be relied upon
		}
	}
	if !known {
		if len(v.chains) >= maxChains {
			return errTooManyChains
		}
		c = &chain{hash: genesis(l.Process)}
		v.chains[l.Process] = c
		if v.options.Partial && l.Sequence > 1 {
			c.sequence, c.hash = l.Sequence-1, l.Previous
		}
	}
	if v.link(c, &l, err == nil) {
		c.sequence, c.hash, c.closed = l.Sequence, hash, l.Action == Stopped
	}
	c.lines++
	return nil
}

// link checks that l is the next line of its chain, and reports whether the chain goes
// on from it.
func (v *Verifier) link(c *chain, l *link, authentic bool) bool {
	if authentic && l.Lost != nil {
		v.explain(l.Lost.Fragments)
	}
	if l.Sequence <= c.sequence {
		v.defect(l.Process, fmt.Sprintf("line %d comes after line %d: one of them is repeated, or out of order", l.Sequence, c.sequence))
		return c.gap.hash != "" && l.Sequence == c.gap.sequence+1 && l.Previous == c.gap.hash
	}
	missing := l.Sequence - c.sequence - 1
	if missing > 0 {
		c.gap.sequence, c.gap.hash = c.sequence, c.hash
	}
	declared := authentic && l.Lost != nil && missing > 0 && missing == l.Lost.Lines && l.Lost.Since == c.hash
	switch {
	case c.closed:
		v.defect(l.Process, fmt.Sprintf("line %d comes after the last line of the chain", l.Sequence))
	case declared: // could not be written, and the line is part of the chain
	case missing == 1:
		v.defect(l.Process, fmt.Sprintf("line %d is missing before line %d", c.sequence+1, l.Sequence))
	case missing > 1:
		v.defect(l.Process, fmt.Sprintf("lines %d to %d are missing before line %d", c.sequence+1, l.Sequence-1, l.Sequence))
	case l.Previous != c.hash && c.sequence == 0:
		v.defect(l.Process, "the first line does not begin a chain: it was replaced")
	case l.Previous != c.hash:
		v.defect(l.Process, fmt.Sprintf("line %d does not follow line %d: one of them was replaced", l.Sequence, c.sequence))
	}
	return true
}

func (v *Verifier) defect(process, problem string) {
	v.report(Defect{File: v.file, Line: v.number, Process: process, Problem: problem})
}

func (v *Verifier) report(d Defect) {
	v.defects++
	if v.options.Report != nil {
		v.options.Report(d)
	}
}

// maxUnread bounds how many lines that are no lines may wait for one that explains
// them.
const maxUnread = 64

// notALine keeps d until a line says that a write ended in its middle.
func (v *Verifier) notALine(d Defect) {
	if len(v.unread) == maxUnread {
		v.report(v.unread[0])
		v.unread = v.unread[1:]
	}
	v.unread = append(v.unread, d)
}

// explain forgives the latest lines that are no lines: what else there is was not
// left by a write that ended in its middle.
func (v *Verifier) explain(fragments uint64) {
	keep := len(v.unread) - int(min(fragments, uint64(len(v.unread))))
	v.unread = v.unread[:keep]
}

// Finish says what is wrong with the whole, and sums up.
func (v *Verifier) Finish() Summary {
	for _, d := range v.unread {
		v.report(d)
	}
	v.unread = nil
	summary := Summary{Lines: v.total}
	for _, process := range slices.Sorted(maps.Keys(v.chains)) {
		c := v.chains[process]
		if v.options.Closed && !c.closed {
			v.report(Defect{File: v.file, Process: process,
				Problem: fmt.Sprintf("ends with line %d, which is not a last line: the program runs, was killed, or lines are missing", c.sequence)})
		}
		summary.Chains = append(summary.Chains, ChainSummary{Process: process, Lines: c.lines, Sequence: c.sequence, Hash: c.hash, Closed: c.closed})
	}
	summary.Defects = v.defects
	return summary
}
