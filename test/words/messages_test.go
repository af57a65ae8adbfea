// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package words

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// maxMessage is how many characters of a message people read. Conditions are held to it
// where they are set; what comes of the names in an event, its writer bounds.
const maxMessage = 300

// A rule that refuses a manifest says what is wrong and what to do, in so many characters.
func TestMessagesOfRulesAreShort(t *testing.T) {
	found := 0
	product(t, func(path, text string) {
		if !strings.HasPrefix(path, "config/crd/") && !strings.HasPrefix(path, "config/policy/") {
			return
		}
		for document := range strings.SplitSeq(text, "\n---\n") {
			var object any
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			messages(object, func(message string) {
				found++
				if n := utf8.RuneCountInString(message); n > maxMessage {
					t.Errorf("%s: a message has %d characters, and at most %d are read: %s", path, n, maxMessage, message)
				}
			})
		}
	})
	if found < 50 {
		t.Errorf("only %d messages were found", found)
	}
}

// messages calls f with each message of a rule, and with the literals of each
// messageExpression, whose other parts are names and numbers.
func messages(object any, f func(string)) {
	literal := regexp.MustCompile(`"([^"]*)"|'([^']*)'`)
	switch object := object.(type) {
	case []any:
		for _, item := range object {
			messages(item, f)
		}
	case map[string]any:
		for name, value := range object {
			text, ok := value.(string)
			switch {
			case ok && name == "message":
				f(text)
			case ok && name == "messageExpression":
				var all strings.Builder
				for _, part := range literal.FindAllStringSubmatch(text, -1) {
					all.WriteString(part[1] + part[2])
				}
				f(all.String())
			default:
				messages(value, f)
			}
		}
	}
}

// The text of an event is what people read of it: the names that it quotes come on top, and
// internal/events cuts them off where the API server would refuse the whole.
func TestTextsOfEventsAreShort(t *testing.T) {
	found := 0
	product(t, func(path, text string) {
		if !strings.HasSuffix(path, ".go") || strings.HasPrefix(path, "hack/") {
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			called, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || called.Sel.Name != "Normal" && called.Sel.Name != "Warning" {
				return true
			}
			for _, argument := range call.Args {
				format, ok := argument.(*ast.BasicLit)
				if !ok || format.Kind != token.STRING {
					continue
				}
				found++
				if note, err := strconv.Unquote(format.Value); err != nil || utf8.RuneCountInString(note) > maxMessage {
					t.Errorf("%s: the text of an event has more than %d characters: %s", path, maxMessage, note)
				}
			}
			return true
		})
	})
	if found < 15 {
		t.Errorf("only %d texts were found", found)
	}
}
