// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hexcovery/apikey-operator/internal/scope"
)

// build makes the tree of all patterns.
func build(rules []ruleConfig) (*Table, error) {
	table := &Table{rules: len(rules)}
	names := make(map[string]bool, len(rules))
	for i := range rules {
		if err := table.add(&rules[i], names); err != nil {
			return nil, fmt.Errorf("rules[%d] %q: %w", i, rules[i].Name, err)
		}
	}
	return table, nil
}

func (t *Table) add(c *ruleConfig, names map[string]bool) error {
	if c.Name == "" {
		return errors.New("has no name: add one")
	}
	if names[c.Name] {
		return errors.New("has the name of another rule: rename one of them")
	}
	names[c.Name] = true
	if err := c.validate(); err != nil {
		return err
	}
	rule := &Rule{Name: c.Name, Scope: scope.Of(c.Scope), Sessions: c.Sessions}
	for _, pattern := range c.Paths {
		if err := t.bind(rule, pattern, c.Methods); err != nil {
			return fmt.Errorf("path %q: %w", pattern, err)
		}
	}
	for _, method := range c.GRPC {
		pattern, err := grpcPattern(method)
		if err != nil {
			return fmt.Errorf("grpc %q: %w", method, err)
		}
		if err := t.bind(rule, pattern, []string{http.MethodPost}); err != nil {
			return fmt.Errorf("grpc %q: %w", method, err)
		}
	}
	return nil
}

// bind adds a pattern to the tree.
func (t *Table) bind(rule *Rule, pattern string, methods []string) error {
	if !strings.HasPrefix(pattern, "/") {
		return errors.New(`start it with "/"`)
	}
	if len(pattern) > MaxPathBytes {
		return fmt.Errorf("longer than %d bytes: no request would match it", MaxPathBytes)
	}
	segments := strings.Split(pattern[1:], "/")
	at, ends := &t.root, &t.root.here
	for i, segment := range segments {
		kind, err := kindOf(segment, i == len(segments)-1)
		if err != nil {
			return err
		}
		if kind == multiple {
			ends = &at.below
			break
		}
		if kind == literal && at.almostLiteral(segment) {
			return fmt.Errorf("segment %q differs from that of another pattern in case only, and some servers take them for the same: use one of them", segment)
		}
		at = at.child(segment, kind)
		ends = &at.here
	}
	for _, method := range methods {
		for _, b := range *ends {
			if b.method == method {
				return fmt.Errorf("%s is already permitted by rule %q: keep it in one place only (a rule may have a scope and sessions: true)", method, b.rule.Name)
			}
		}
		*ends = append(*ends, binding{method: method, rule: rule, pattern: pattern})
	}
	t.entries = append(t.entries, Entry{Rule: rule, Methods: methods, Pattern: pattern})
	return nil
}

// child returns the node below n for a segment, and makes it if there is none.
func (n *node) child(segment string, kind segmentKind) *node {
	if kind == single {
		if n.parameter == nil {
			n.parameter = &node{}
		}
		return n.parameter
	}
	if n.literal == nil {
		n.literal = map[string]*node{}
	}
	if n.literal[segment] == nil {
		n.literal[segment] = &node{}
	}
	return n.literal[segment]
}

type segmentKind uint8

const (
	literal  segmentKind = iota // stands for itself
	single                      // {name}
	multiple                    // {name...}
)

func kindOf(segment string, last bool) (segmentKind, error) {
	if segment == "" && last {
		return literal, nil // a trailing slash, or "/" itself
	}
	if inner, ok := strings.CutPrefix(segment, "{"); ok {
		return kindOfWildcard(inner, last)
	}
	if err := judgeSegment(segment); err != nil {
		return literal, fmt.Errorf("%w: no request would match it", err)
	}
	// Nothing that could also be written as an escape, so that a literal has one
	// spelling and cannot slip past its rule into a wildcard's.
	if strings.ContainsFunc(segment, func(r rune) bool { return r > 0x7f || classes[byte(r)] != raw }) {
		return literal, fmt.Errorf("segment %q: a literal may have letters, digits, and -._~ only", segment)
	}
	return literal, nil
}

func kindOfWildcard(inner string, last bool) (segmentKind, error) {
	name, closed := strings.CutSuffix(inner, "}")
	name, rest := strings.CutSuffix(name, "...")
	if !closed || name == "" || strings.ContainsAny(name, "{}.") {
		return literal, errors.New("write a wildcard as {name} or {name...}, as a whole segment")
	}
	if !rest {
		return single, nil
	}
	if !last {
		return literal, fmt.Errorf("{%s...} has to be the last segment", name)
	}
	return multiple, nil
}

// grpcPattern is the path of a gRPC method: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
func grpcPattern(method string) (string, error) {
	service, name, ok := strings.Cut(method, "/")
	if !ok || service == "" || name == "" || strings.ContainsAny(method, "{}") || strings.Contains(name, "/") {
		return "", errors.New("write it as package.Service/Method")
	}
	return "/" + method, nil
}
