// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"strings"

	"github.com/hexcovery/apikey-operator/internal/scope"
)

// Rule is what a request that is in the surface was matched by.
type Rule struct {
	// Name is the rule's name in the configuration.
	Name string
	// Scope is the one scope that a key needs. It is empty if the rule is for
	// sessions only; Lookup never finds such a rule for a key.
	Scope scope.Set
	// Sessions says that the rule is for dashboard sessions, too, or only for them.
	Sessions bool
}

// Caller is whose request it is.
type Caller uint8

const (
	// Key is a request with an API key.
	Key Caller = iota
	// Session is a request with a dashboard session.
	Session
)

// permits reports whether a rule is for the caller at all.
func (r *Rule) permits(caller Caller) bool {
	switch caller {
	case Key:
		return !r.Scope.Empty()
	case Session:
		return r.Sessions
	default:
		return false
	}
}

// Outcome is the answer of a lookup. Its zero value is the safe one.
type Outcome uint8

const (
	// NotFound: no rule names the path for this caller.
	NotFound Outcome = iota
	// OtherMethod: rules name the path for this caller, but not with this method.
	OtherMethod
	// Found: the request is in the surface, and the Rule says which scope a key needs.
	Found
)

// Table is a surface. Make one with Default or Load.
type Table struct {
	root    node
	rules   int
	entries []Entry
}

// Entry is a pattern of a rule, as the file has it.
type Entry struct {
	Rule    *Rule
	Methods []string
	Pattern string
}

// Rules is the number of rules.
func (t *Table) Rules() int { return t.rules }

// Entries returns every pattern, in the order of the file. They are not to be changed.
func (t *Table) Entries() []Entry { return t.entries }

// node is a place in the tree of patterns, one level a segment.
type node struct {
	literal   map[string]*node
	parameter *node     // {name}
	here      []binding // patterns that end here
	below     []binding // patterns that end here with {name...}
}

// binding ties a method to the rule that permits it.
type binding struct {
	method  string
	rule    *Rule
	pattern string
}

// Lookup finds the rule for a request. The Rule is nil unless the Outcome is Found.
//
// The most specific pattern decides for every caller: where its rules are all for
// sessions, a key finds nothing, although a less specific pattern may be for keys.
func (t *Table) Lookup(caller Caller, method string, path Path) (*Rule, Outcome) {
	found, outcome := choose(t.match(path), caller, method)
	if outcome != Found {
		return nil, outcome
	}
	return found.rule, Found
}

// match returns the bindings of the most specific pattern, none if no pattern matches.
func (t *Table) match(path Path) []binding {
	if path == "" {
		return nil
	}
	return t.root.find(string(path[1:]))
}

// choose finds, among the bindings of one pattern, that for a caller and a method. It is
// nil unless the Outcome is Found.
func choose(bindings []binding, caller Caller, method string) (*binding, Outcome) {
	outcome := NotFound
	for i := range bindings {
		if !bindings[i].rule.permits(caller) {
			continue // and nothing tells the caller that there is such a rule
		}
		if bindings[i].method == method {
			return &bindings[i], Found
		}
		outcome = OtherMethod
	}
	return nil, outcome
}

// nobody is what is found where no other pattern may match either.
var noBindings = []binding{}

// find returns the bindings of the most specific pattern that matches rest, which
// is what follows the slash that led here. It visits a node at most once.
func (n *node) find(rest string) []binding {
	segment, tail, more := strings.Cut(rest, "/")
	if found := n.literal[segment].descend(tail, more); found != nil {
		return found
	}
	if n.almostLiteral(segment) {
		return noBindings
	}
	if segment == "" {
		return nil // a trailing slash is nobody's {name}
	}
	if found := n.parameter.descend(tail, more); found != nil {
		return found
	}
	return n.below
}

// almostLiteral reports whether a segment is a literal but for its case. Caddy and
// others take it for that literal, so it must not be a wildcard's: the wildcard may
// need another scope.
func (n *node) almostLiteral(segment string) bool {
	if _, ok := n.literal[segment]; ok {
		return false
	}
	for literal := range n.literal {
		if strings.EqualFold(literal, segment) {
			return true
		}
	}
	return false
}

func (n *node) descend(tail string, more bool) []binding {
	switch {
	case n == nil:
		return nil
	case more:
		return n.find(tail)
	default:
		return n.here
	}
}
