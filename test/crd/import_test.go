// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("spec.importedKeys", func() {
	hash := func(n int) string { return fmt.Sprintf("%064x", n) }
	// importing is a spec that imports these, which are YAML.
	importing := func(entries ...string) string {
		return acme + "\nimportedKeys: [" + strings.Join(entries, ", ") + "]"
	}
	some := func(n int) string {
		entries := make([]string, n)
		for i := range entries {
			entries[i] = fmt.Sprintf("{sha256: %q}", hash(i))
		}
		return importing(entries...)
	}

	DescribeTable("accepts", func(ctx SpecContext, spec string) {
		Expect(tryCreate(ctx, apiKey(spec))).To(Succeed())
	},
		Entry("no key", importing()),
		Entry("one key", some(1)),
		Entry("8 keys", some(8)),
		Entry("a description of 256 characters", importing(fmt.Sprintf("{sha256: %q, description: %s}", hash(1), chars(256)))),
	)

	DescribeTable("refuses", func(ctx SpecContext, spec, message string) {
		Expect(tryCreate(ctx, apiKey(spec))).To(beRefused(message))
	},
		Entry("9 keys", some(9), "spec.importedKeys: Too many: 9: must have at most 8 items"),
		Entry("a key twice", importing("{sha256: "+fmt.Sprintf("%q", hash(1))+"}", "{sha256: "+fmt.Sprintf("%q", hash(1))+", description: again}"), "spec.importedKeys[1]: Duplicate value"),
		Entry("an entry without a hash", importing("{description: mine}"), "spec.importedKeys[0].sha256: Required value"),
		Entry("a hash in capitals", importing("{sha256: "+strings.Repeat("AB", 32)+"}"), "spec.importedKeys[0].sha256 in body should match '^[0-9a-f]{64}$'"),
		Entry("a hash of 63 digits", importing("{sha256: "+strings.Repeat("a", 63)+"}"), "spec.importedKeys[0].sha256 in body should match"),
		Entry("a hash of 65 digits", importing("{sha256: "+strings.Repeat("a", 65)+"}"), "spec.importedKeys[0].sha256 in body should match"),
		Entry("what sha256sum prints beside the hash", importing(fmt.Sprintf("{sha256: %q}", hash(1)+"  -")), "spec.importedKeys[0].sha256 in body should match"),
		Entry("a hash and a line end", importing(fmt.Sprintf("{sha256: %q}", hash(1)+"\n")), "spec.importedKeys[0].sha256 in body should match"),
		Entry("a key where its hash belongs", importing("{sha256: hxk_"+chars(49)+"}"), "spec.importedKeys[0].sha256 in body should match"),
		Entry("a description of 257 characters", importing(fmt.Sprintf("{sha256: %q, description: %s}", hash(1), chars(257))), "spec.importedKeys[0].description: Too long: may not be more than 256"),
	)

	It("can change", func(ctx SpecContext) {
		key := create(ctx, apiKey(some(1)))
		Expect(tryChange(ctx, key, some(2))).To(Succeed())
		Expect(tryChange(ctx, key, acme)).To(Succeed())
	})

	DescribeTable("is noted in the status, which may be", func(ctx SpecContext, status string) {
		Expect(tryStatus(ctx, manager, create(ctx, apiKey(acme)), status)).To(Succeed())
	},
		Entry("a version that was imported", fmt.Sprintf("versions: [{id: %q, sha256: %q, state: Active, origin: Imported, registrationTime: 2026-01-02T03:04:05Z}]", hash(1)[:12], hash(1))),
		Entry("8 hashes", fmt.Sprintf("imports: [%q, %q, %q, %q, %q, %q, %q, %q]", hash(1), hash(2), hash(3), hash(4), hash(5), hash(6), hash(7), hash(8))),
	)

	DescribeTable("is noted in the status, which may not be", func(ctx SpecContext, status, message string) {
		Expect(tryStatus(ctx, manager, create(ctx, apiKey(acme)), status)).To(beRefused(message))
	},
		Entry("a version of an origin that does not exist", fmt.Sprintf("versions: [{id: %q, sha256: %q, state: Active, origin: Found, registrationTime: 2026-01-02T03:04:05Z}]", hash(1)[:12], hash(1)), `Unsupported value: "Found"`),
		Entry("9 hashes", fmt.Sprintf("imports: [%q, %q, %q, %q, %q, %q, %q, %q, %q]", hash(1), hash(2), hash(3), hash(4), hash(5), hash(6), hash(7), hash(8), hash(9)), "status.imports: Too many: 9: must have at most 8 items"),
		Entry("a hash twice", fmt.Sprintf("imports: [%q, %q]", hash(1), hash(1)), "status.imports[1]: Duplicate value"),
		Entry("a short hash", fmt.Sprintf("imports: [%q]", hash(1)[1:]), "imports[0] in body should match"),
	)
})
