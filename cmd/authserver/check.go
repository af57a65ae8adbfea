// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/webhook"
)

// Exit codes: a refusal is another one than a bad file or command line.
const (
	exitOK      = 0
	exitFailed  = 1
	exitRefused = 1
	exitUsage   = 2
)

// surfaceCheck is what --check-surface asks for.
type surfaceCheck struct {
	file string
	// request is a method and a path, or nothing.
	request []string
}

// What stands for something else where a file is asked for. Files of these names are
// ./- and ./default. The surface that is built in is asked for by name, so that a
// variable that is not set does not check it instead of a file.
const (
	standardInput  = "-"
	builtInSurface = "default"
)

func newSurfaceCheck(file string, arguments []string) (*surfaceCheck, error) {
	switch {
	case file == "":
		return nil, fmt.Errorf("--check-surface: FILE is empty: name one, or %s for the surface that is built in", builtInSurface)
	case len(arguments) != 0 && len(arguments) != 2:
		return nil, errors.New("--check-surface: give FILE alone, or FILE METHOD PATH, and other flags before")
	case slices.Contains(arguments, ""):
		return nil, errors.New("--check-surface: METHOD and PATH must not be empty")
	}
	return &surfaceCheck{file: file, request: arguments}, nil
}

// run prints the answer, and returns what to exit with.
func (c *surfaceCheck) run(input io.Reader, output io.Writer) (int, error) {
	table, err := c.load(input)
	if err != nil {
		return exitUsage, fmt.Errorf("--check-surface: %w", err)
	}
	if len(c.request) == 0 {
		list(table, output)
		return exitOK, nil
	}
	method := c.request[0]
	e := table.Explain(method, c.request[1])
	if e.Key.Outcome == surface.Found || e.Session.Outcome == surface.Found {
		fmt.Fprintln(output, permission(e, method))
		return exitOK, nil
	}
	fmt.Fprintln(output, refusal(e))
	for _, hint := range hints(e, method) {
		fmt.Fprintln(output, "  "+hint)
	}
	return exitRefused, nil
}

func (c *surfaceCheck) load(input io.Reader) (*surface.Table, error) {
	switch c.file {
	case builtInSurface:
		return surface.Default(), nil
	case standardInput:
		data, err := io.ReadAll(io.LimitReader(input, surface.MaxFileBytes+1))
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		table, err := surface.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("surface on standard input: %w", err)
		}
		return table, nil
	default:
		return surface.Load(c.file)
	}
}

func list(table *surface.Table, output io.Writer) {
	w := tabwriter.NewWriter(output, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "METHODS\tPATH\tFOR\tRULE")
	for _, entry := range table.Entries() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", strings.Join(entry.Methods, ","), entry.Pattern, whom(entry.Rule), entry.Rule.Name)
	}
	_ = w.Flush() // as little can be done about it as about any other print
}

// whom says who a rule is for.
func whom(rule *surface.Rule) string {
	switch {
	case rule.Scope.Empty():
		return "sessions, no keys"
	case rule.Sessions:
		return "keys with scope " + rule.Scope.String() + ", sessions"
	default:
		return "keys with scope " + rule.Scope.String()
	}
}

func permission(e surface.Explanation, method string) string {
	entry := e.Key.Entry
	if e.Key.Outcome != surface.Found {
		entry = e.Session.Entry
	}
	return fmt.Sprintf("permitted by rule %q (pattern %s, method %s): %s", entry.Rule.Name, entry.Pattern, method, whom(entry.Rule))
}

// refusal says why, with the reason of a key. That of a session differs where rules are for
// sessions only.
func refusal(e surface.Explanation) string {
	reason, why := webhook.NotInSurface, "no rule names this path"
	switch {
	case e.Ambiguity != nil:
		reason, why = webhook.AmbiguousPath, e.Ambiguity.Error()
	case e.Key.Outcome == surface.OtherMethod:
		reason, why = webhook.MethodNotAllowed, "rules name this path, but only for "+named(e.Matched)
	case e.Session.Outcome == surface.OtherMethod:
		why = "no rule names this path for keys, and for sessions only with " + named(e.Matched)
	}
	return fmt.Sprintf("refused: %s: %s", reason, why)
}

// named lists what a pattern permits, and by which rules.
func named(entries []surface.Entry) string {
	parts := make([]string, len(entries))
	for i, entry := range entries {
		parts[i] = fmt.Sprintf("%s (rule %q: %s)", strings.Join(entry.Methods, ", "), entry.Rule.Name, whom(entry.Rule))
	}
	return strings.Join(parts, " and ")
}

// hints say what somebody may have meant.
func hints(e surface.Explanation, method string) []string {
	var hints []string
	for _, entry := range e.Matched {
		if upper := strings.ToUpper(method); upper != method && slices.Contains(entry.Methods, upper) {
			hints = append(hints, fmt.Sprintf("rule %q permits %s: methods are compared exactly, in capitals", entry.Rule.Name, upper))
		}
	}
	for _, entry := range e.Near {
		hints = append(hints, fmt.Sprintf("rule %q names %s: paths are compared exactly, with capitals and a trailing slash", entry.Rule.Name, entry.Pattern))
	}
	return hints
}
