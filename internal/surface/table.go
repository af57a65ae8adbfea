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
	// Scope is the one scope that a key needs.
	Scope scope.Set
}

// Outcome is the answer of a lookup. Its zero value is the safe one.
type Outcome uint8

const (
	// NotFound: no rule names the path.
	NotFound Outcome = iota
	// OtherMethod: rules name the path, but not with this method.
	OtherMethod
	// Found: the request is in the surface, and the Rule says which scope it needs.
	Found
)

// Table is a surface. Make one with Default or Load.
type Table struct {
	root  node
	rules []*Rule
}

// node is a place in the tree of patterns, one level a segment.
type node struct {
	literal   map[string]*node
	parameter *node     // {name}
	here      []binding // patterns that end here
	below     []binding // patterns that end here with {name...}
}

// binding ties a method to the rule that permits it.
type binding struct {
	method string
	rule   *Rule
}

// Lookup finds the rule for a request. The Rule is nil unless the Outcome is Found.
func (t *Table) Lookup(method string, path Path) (*Rule, Outcome) {
	if path == "" {
		return nil, NotFound
	}
	bindings := t.root.find(string(path[1:]))
	for i := range bindings {
		if bindings[i].method == method {
			return bindings[i].rule, Found
		}
	}
	if len(bindings) > 0 {
		return nil, OtherMethod
	}
	return nil, NotFound
}

// nobody is what is found where no other pattern may match either.
var nobody = []binding{}

// find returns the bindings of the most specific pattern that matches rest, which
// is what follows the slash that led here. It visits a node at most once.
func (n *node) find(rest string) []binding {
	segment, tail, more := strings.Cut(rest, "/")
	if found := n.literal[segment].descend(tail, more); found != nil {
		return found
	}
	if n.almostLiteral(segment) {
		return nobody
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
