// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"strings"
)

// Explanation says how a Table decides about one request, and why.
type Explanation struct {
	// Ambiguity is set if the path has more than one reading. Nothing else is set then.
	Ambiguity error
	// Matched has the entries whose pattern decides, with the methods that each rule
	// permits there. It is empty if no pattern matches.
	Matched []Entry
	// Key and Session are what Lookup answers to either.
	Key, Session Verdict
	// Near are entries that only the spelling of the path keeps apart from it, if no
	// pattern matches.
	Near []Entry
}

// Verdict is the answer of a lookup. The Entry is set if the Outcome is Found, and
// has the one method that was asked for.
type Verdict struct {
	Outcome Outcome
	Entry   Entry
}

// Explain judges a request as a server does: Judge, then Lookup.
func (t *Table) Explain(method, target string) Explanation {
	path, err := Judge(target)
	if err != nil {
		return Explanation{Ambiguity: err}
	}
	bindings := t.match(path)
	e := Explanation{Matched: group(bindings), Key: verdict(bindings, Key, method), Session: verdict(bindings, Session, method)}
	if len(bindings) == 0 {
		e.Near = t.near(path)
	}
	return e
}

func verdict(bindings []binding, caller Caller, method string) Verdict {
	found, outcome := choose(bindings, caller, method)
	if outcome != Found {
		return Verdict{Outcome: outcome}
	}
	return Verdict{Outcome: Found, Entry: found.entry(method)}
}

func (b *binding) entry(methods ...string) Entry {
	return Entry{Rule: b.rule, Methods: methods, Pattern: b.pattern}
}

// group makes entries of bindings: one for each rule.
func group(bindings []binding) []Entry {
	var entries []Entry
	for i := range bindings {
		b := &bindings[i]
		if last := len(entries) - 1; last >= 0 && entries[last].Rule == b.rule {
			entries[last].Methods = append(entries[last].Methods, b.method)
			continue
		}
		entries = append(entries, b.entry(b.method)) // a rule's bindings stand together
	}
	return entries
}

// near finds entries that differ from a path in capitals or in a trailing slash only.
// It guesses how the path was meant, and asks the tree about the guess.
func (t *Table) near(path Path) []Entry {
	var near []Entry
	for _, entry := range t.entries {
		meant, ok := guess(entry.Pattern, string(path))
		if !ok {
			continue
		}
		for _, b := range t.match(meant) {
			if b.rule == entry.Rule && b.pattern == entry.Pattern {
				near = append(near, entry)
				break
			}
		}
	}
	return near
}

// guess spells a path as a pattern would have it, if nothing but the spelling differs.
func guess(pattern, path string) (Path, bool) {
	wanted, segments := strings.Split(pattern, "/"), strings.Split(strings.TrimSuffix(path, "/"), "/")
	if last := len(wanted) - 1; wanted[last] == "" {
		segments = append(segments, "")
	} else if strings.HasSuffix(wanted[last], "...}") {
		if len(segments) <= last {
			return "", false
		}
		segments = append(segments[:last:last], strings.Join(segments[last:], "/"))
	}
	if len(wanted) != len(segments) {
		return "", false
	}
	for i, segment := range wanted {
		switch {
		case strings.HasPrefix(segment, "{"):
		case strings.EqualFold(segment, segments[i]):
			segments[i] = segment
		default:
			return "", false
		}
	}
	return Path(strings.Join(segments, "/")), true
}
