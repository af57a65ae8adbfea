// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// observers are the functions that may read a condition, and what of it: they tell people
// what has happened, or for how long something is so.
var observers = map[string]string{
	"internal/lifecycle/transitions.go condition":        "Type Status Reason Message",
	"internal/lifecycle/conditions.go inGrace":           "LastTransitionTime",
	"controllers/organization/reconciler.go emitRefusal": "Reason Message",
}

// Conditions are for observers: no program decides by one.
func TestNoDecisionRestsOnACondition(t *testing.T) {
	const root = "../.."
	used := map[string]bool{}
	for _, folder := range []string{"controllers", "internal/lifecycle", "internal/registry", "webhook"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			for _, declaration := range file.Decls {
				function, ok := declaration.(*ast.FuncDecl)
				if !ok {
					continue
				}
				who := filepath.ToSlash(name) + " " + function.Name.Name
				what, reads := readsConditions(function)
				permitted, observer := observers[who]
				switch {
				case !reads || name == filepath.FromSlash("internal/lifecycle/transitions.go"):
				case !observer:
					t.Errorf("%s reads a condition: %s. Decide by a field of the status or by the spec", who, what)
				case strings.Contains(what, "Reason") && !strings.Contains(permitted, "Reason"):
					t.Errorf("%s reads %s of a condition, and may read %s", who, what, permitted)
				}
				used[who] = used[who] || reads
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for who := range observers {
		if !used[who] {
			t.Errorf("%s reads no condition any more", who)
		}
	}
}

// readsConditions reports whether a function reads conditions, and which of a condition's
// fields it names. To hand a list to what sets conditions is not to read it, nor is to leave
// all of them out.
func readsConditions(function *ast.FuncDecl) (fields string, reads bool) {
	written := map[ast.Node]bool{}
	ast.Inspect(function, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.UnaryExpr:
			written[n.X] = n.Op == token.AND
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				written[left] = true
			}
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.Ident); ok && called.Name == "condition" {
				reads = true
			}
		case *ast.SelectorExpr:
			switch name := n.Sel.Name; {
			case name == "Conditions" && !written[n], name == "FindStatusCondition", strings.HasPrefix(name, "IsStatusCondition"):
				reads = true
			case name == "Reason", name == "Message", name == "ObservedGeneration", name == "LastTransitionTime":
				fields = strings.TrimSpace(fields + " " + name)
			}
		}
		return true
	})
	return fields, reads
}

// See it fail: what reads a condition is noticed, and what sets one is not.
func TestReadsConditions(t *testing.T) {
	for body, want := range map[string]bool{
		`if meta.IsStatusConditionTrue(key.Status.Conditions, "Ready") { return }`: true,
		`c := meta.FindStatusCondition(list, "Ready"); return c.Reason == "x"`:     true,
		`for _, c := range key.Status.Conditions { use(c.Message) }`:               true,
		`return condition(&key.Status, "Ready").Reason`:                            true,
		`meta.SetStatusCondition(&key.Status.Conditions, c)`:                       false,
		`meta.RemoveStatusCondition(&key.Status.Conditions, "Ready")`:              false,
		`key.Status.Conditions = nil`:                                              false,
		`return finding.Reason`:                                                    false,
		`return key.Status.ObservedGeneration == key.Generation`:                   false,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() {"+body+"}", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := readsConditions(file.Decls[0].(*ast.FuncDecl)); got != want {
			t.Errorf("%s: %t", body, got)
		}
	}
}
