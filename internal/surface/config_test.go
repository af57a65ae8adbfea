// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestShippedFileIsTheDefault(t *testing.T) {
	const shipped = "../../config/authserver/surface.yaml"
	data, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, defaultYAML) {
		t.Errorf("%s and default.yaml differ: copy the one that is right over the other", shipped)
	}
	if _, err := Load(shipped); err != nil {
		t.Error(err)
	}
}

func TestParseSaysWhichRuleIsWrongAndWhatToDo(t *testing.T) {
	const head = "apiVersion: auth.hexcovery.io/v1alpha1\nkind: Surface\n"
	for name, test := range map[string]struct {
		yaml string
		want []string
	}{
		"another version": {"apiVersion: auth.hexcovery.io/v1\nkind: Surface\nrules: []", []string{"v1alpha1", "auth.hexcovery.io/v1"}},
		"another kind":    {"apiVersion: auth.hexcovery.io/v1alpha1\nkind: ConfigMap", []string{"Surface"}},
		"no YAML":         {"{", []string{"decode"}},
		"unknown field":   {head + "rules:\n- {name: a, scope: query, method: [GET], paths: [/a]}", []string{"method"}},
		"field twice":     {head + "kind: Surface\nrules: []", []string{"kind"}},
		"empty":           {head, []string{"at least one rule"}},
		"no name":         {head + "rules:\n- {scope: query, methods: [GET], paths: [/a]}", []string{"rules[0]", "name"}},
		"name twice": {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: [/a]}\n- {name: a, scope: query, methods: [GET], paths: [/b]}",
			[]string{`rules[1] "a"`, "rename"}},
		"unknown scope":           {head + "rules:\n- {name: a, scope: admin, methods: [GET], paths: [/a]}", []string{`"a"`, `"admin"`, "ingest"}},
		"for nobody":              {head + "rules:\n- {name: a, methods: [GET], paths: [/a]}", []string{`"a"`, "ingest", "sessions: true"}},
		"sessions: false":         {head + "rules:\n- {name: a, sessions: false, methods: [GET], paths: [/a]}", []string{`"a"`, "ingest", "sessions: true"}},
		"sessions as a scope":     {head + "rules:\n- {name: a, scope: sessions, methods: [GET], paths: [/a]}", []string{`"a"`, `"sessions"`, "ingest"}},
		"no truth":                {head + "rules:\n- {name: a, sessions: dashboards, methods: [GET], paths: [/a]}", []string{"decode", "sessions"}},
		"unknown scope, sessions": {head + "rules:\n- {name: a, scope: admin, sessions: true, methods: [GET], paths: [/a]}", []string{`"a"`, `"admin"`}},
		"nothing":                 {head + "rules:\n- {name: a, scope: query}", []string{`"a"`, "paths", "grpc"}},
		"no methods":              {head + "rules:\n- {name: a, scope: query, paths: [/a]}", []string{`"a"`, "methods"}},
		"lower-case method":       {head + "rules:\n- {name: a, scope: query, methods: [get], paths: [/a]}", []string{`"a"`, "capitals"}},
		"two methods in one":      {head + "rules:\n- {name: a, scope: query, methods: ['GET,POST'], paths: [/a]}", []string{`"a"`, "one an entry"}},
		"CONNECT":                 {head + "rules:\n- {name: a, scope: query, methods: [CONNECT], paths: [/a]}", []string{`"a"`, "never"}},
		"grpc and paths":          {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: [/a], grpc: [s/m]}", []string{`"a"`, "two rules"}},
		"grpc form":               {head + "rules:\n- {name: a, scope: query, grpc: [/s/m]}", []string{`"a"`, "package.Service/Method"}},
		"grpc wildcard":           {head + "rules:\n- {name: a, scope: query, grpc: ['s/{m}']}", []string{`"a"`, "package.Service/Method"}},
		"grpc literal":            {head + "rules:\n- {name: a, scope: query, grpc: ['s!/m']}", []string{`"a"`, "letters, digits"}},
		"relative path":           {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: [a]}", []string{`"a"`, `start it with "/"`}},
		"dot segment":             {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: [/a/..]}", []string{`"a"`, "dot segment"}},
		"empty segment":           {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: [/a//b]}", []string{`"a"`, "empty segment"}},
		"escape":                  {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: [/a%20b]}", []string{`"a"`, "letters, digits"}},
		"two spellings":           {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: ['/a:b']}", []string{`"a"`, "letters, digits"}},
		"non-ASCII":               {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: [/ü]}", []string{`"a"`, "letters, digits"}},
		"star":                    {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: [/a/*]}", []string{`"a"`, "letters, digits"}},
		"half a wildcard":         {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: ['/a/{id']}", []string{`"a"`, "{name}"}},
		"wildcard in part":        {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: ['/a/{id}.json']}", []string{`"a"`, "whole segment"}},
		"nameless wildcard":       {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: ['/a/{...}']}", []string{`"a"`, "{name...}"}},
		"rest in the middle":      {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: ['/a/{b...}/c']}", []string{`"a"`, "{b...}", "last segment"}},
		"over-long":               {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: [/" + strings.Repeat("a", MaxPathBytes) + "]}", []string{`"a"`, "longer than 2048"}},
		"same request": {head + "rules:\n- {name: a, scope: query, methods: [GET, PUT], paths: ['/a/{x}']}\n- {name: b, scope: ingest, methods: [PUT], paths: ['/a/{y}']}",
			[]string{`rules[1] "b"`, `rule "a"`, "PUT"}},
		"keys here, sessions there": {head + "rules:\n- {name: a, scope: query, methods: [GET], paths: [/a]}\n- {name: b, sessions: true, methods: [GET], paths: [/a]}",
			[]string{`rules[1] "b"`, `rule "a"`, "GET", "a scope and sessions: true"}},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := Parse([]byte(test.yaml))
			if err == nil {
				t.Fatalf("accepted: %+v", table)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "surface.yaml")
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(file, []byte("kind: Surface"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a bad file: %v", err)
	}
}

func TestPackageDocumentationHasASurface(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(source), "// # The file\n//\n")
	example, _, _ = strings.Cut(example, "\n//\n")
	table, err := Parse([]byte(strings.ReplaceAll("\n"+example, "\n//\t", "\n")))
	if err != nil || table.Rules() != 4 {
		t.Errorf("%v, %v", table, err)
	}
}
