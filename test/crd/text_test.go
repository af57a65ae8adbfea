// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What a tenant writes others read: in terminals, logs and pages.
var _ = Describe("A text for people", func() {
	places := map[string]string{
		"spec.description":                acme + "\ndescription: %q",
		"spec.importedKeys[].description": acme + "\nimportedKeys: [{sha256: '" + fmt.Sprintf("%064x", 7) + "', description: %q}]",
		"spec.displayName":                "displayName: %q",
	}

	try := func(ctx SpecContext, place, format, text string) error {
		spec := fmt.Sprintf(format, text)
		if place == "spec.displayName" {
			return tryCreate(ctx, organization(spec))
		}
		return tryCreate(ctx, apiKey(spec))
	}

	DescribeTable("is refused with", func(ctx SpecContext, text string) {
		for place, format := range places {
			Expect(try(ctx, place, format, text)).To(beRefused(place+" has a line break, or a control or formatting character"), "%s: %q", place, text)
		}
	},
		Entry("a line break", "two\nlines"),
		Entry("a line break at its end", "one line\n"),
		Entry("a carriage return", "honest\rforged"),
		Entry("a tab", "two\tcolumns"),
		Entry("an escape sequence", "\x1b[2J\x1b[31mREVOKED"),
		Entry("a title for the terminal", "\x1b]0;owned\x07"),
		Entry("a control sequence in one character", "\u009b31m"),
		Entry("a next line", "two\u0085lines"),
		Entry("a line separator", "two\u2028lines"),
		Entry("a paragraph separator", "two\u2029paragraphs"),
		Entry("a right-to-left override", "agent\u202egnp.exe"),
		Entry("a right-to-left mark", "agent\u200f"),
		Entry("an isolate", "\u2066agent\u2069"),
		Entry("what nobody sees", "agent\u200b"),
		Entry("a byte order mark", "\ufeffagent"),
		Entry("a deletion", "agent\x7f"),
	)

	DescribeTable("may have", func(ctx SpecContext, text string) {
		for place, format := range places {
			Expect(try(ctx, place, format, text)).To(Succeed(), "%s: %q", place, text)
		}
	},
		Entry("letters of any script", "Agenten für Zürich, агенты, エージェント, סוכן"),
		Entry("an emoji", "deploys 🚀"),
		Entry("what is markup elsewhere", "<b>agents</b> & 'others' \"here\""),
		Entry("a combining accent", "cafe\u0301"),
	)
})
