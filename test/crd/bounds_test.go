// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Every text and number has two bounds: without an upper one CEL rules could cost anything,
// and an empty text would be a third thing beside a value and none. The tests of each kind
// have the others.
var _ = Describe("The bounds of a field", func() {
	hash := strings.Repeat("0123456789abcdef", 4)
	long := func(n int) string { return fmt.Sprintf("Too long: may not be more than %d", n) }
	short := func(n int) string { return fmt.Sprintf("in body should be at least %d chars long", n) }
	version := func(more string) string {
		return fmt.Sprintf("versions: [{state: Active, registrationTime: 2026-01-02T03:04:05Z, %s}]", more)
	}

	DescribeTable("of an APIKey's spec refuse", func(ctx SpecContext, spec, field, message string) {
		Expect(tryCreate(ctx, apiKey(acme+"\n"+spec))).To(SatisfyAll(beRefused(field), beRefused(message)))
	},
		Entry("an empty name of the Secret", "secret: {name: ''}", "spec.secret.name", short(1)),
		Entry("an empty schedule", "rotation: {window: {schedule: '', duration: 1h}}", "spec.rotation.window.schedule", short(9)),
		Entry("an empty time zone", "rotation: {window: {schedule: '0 9 * * *', duration: 1h, timeZone: ''}}", "spec.rotation.window.timeZone", short(1)),
	)

	DescribeTable("of an APIKey's status refuse", func(ctx SpecContext, status, field, message string) {
		Expect(tryStatus(ctx, manager, create(ctx, apiKey(acme)), status)).To(SatisfyAll(beRefused(field), beRefused(message)))
	},
		Entry("an observed generation that no object has", "observedGeneration: 0", "status.observedGeneration", "should be greater than or equal to 1"),
		Entry("an applied generation that no object has", "appliedGeneration: 0", "status.appliedGeneration", "should be greater than or equal to 1"),
		Entry("an empty uid", "uid: ''", "status.uid", short(1)),
		Entry("an empty uid that it was restored from", "restoredFrom: ''", "status.restoredFrom", short(1)),
		Entry("an empty id of an organization", "organizationID: ''", "status.organizationID", short(1)),
		Entry("an empty key ID", "keyID: ''", "status.keyID", short(1)),
		Entry("an empty ID of a lost key", "drift: {count: 1, lastTime: 2026-01-02T03:04:05Z, lostKeyID: ''}", "status.drift.lostKeyID", short(1)),
		Entry("a reason of a mint that does not exist", version("id: 0123456789ab, sha256: "+hash+", mintReason: Wanted"), "status.versions[0].mintReason", `Unsupported value: "Wanted"`),
		Entry("a reason of a revocation that does not exist", version("id: 0123456789ab, sha256: "+hash+", revocationReason: Hated"), "status.versions[0].revocationReason", `Unsupported value: "Hated"`),
		Entry("an empty uid of who has revoked a key", version("id: 0123456789ab, sha256: "+hash+", revokedBy: {username: alice, uid: ''}"), "status.versions[0].revokedBy.uid", short(1)),
	)

	blocked := func(format string, args ...any) string { return "blocked: [" + fmt.Sprintf(format, args...) + "]" }
	many := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("{namespace: %s, name: n%d}", chars(63), i)
		}
		return blocked("%s", strings.Join(list, ", "))
	}

	DescribeTable("of an Organization's spec are kept by", func(ctx SpecContext, spec string) {
		Expect(tryCreate(ctx, organization(spec))).To(Succeed())
	},
		Entry("256 blocked APIKeys", many(256)),
		Entry("blocked APIKeys of one name in two namespaces", blocked("{namespace: a-1, name: %[1]s.a-1}, {namespace: b, name: %[1]s.a-1}", chars(59))),
		Entry("namespaces that say nothing", "namespaces: {}"),
		Entry("imports of other forms", "imports: Foreign"),
	)

	DescribeTable("of an Organization's spec refuse", func(ctx SpecContext, spec, field, message string) {
		Expect(tryCreate(ctx, organization(spec))).To(SatisfyAll(beRefused(field), beRefused(message)))
	},
		Entry("257 blocked APIKeys", many(257), "spec.blocked", "Too many: 257: must have at most 256 items"),
		Entry("an APIKey that is blocked twice", blocked("{namespace: a, name: b}, {namespace: a, name: b}"), "spec.blocked[1]", "Duplicate value"),
		Entry("a blocked APIKey without a namespace", blocked("{name: b}"), "spec.blocked[0].namespace", "Required value"),
		Entry("a blocked APIKey without a name", blocked("{namespace: a}"), "spec.blocked[0].name", "Required value"),
		Entry("an empty namespace of a blocked APIKey", blocked("{namespace: '', name: b}"), "spec.blocked[0].namespace", short(1)),
		Entry("an empty name of a blocked APIKey", blocked("{namespace: a, name: ''}"), "spec.blocked[0].name", short(1)),
		Entry("a long namespace of a blocked APIKey", blocked("{namespace: %s, name: b}", chars(64)), "spec.blocked[0].namespace", long(63)),
		Entry("a long name of a blocked APIKey", blocked("{namespace: a, name: %s}", chars(64)), "spec.blocked[0].name", long(63)),
		// It would stop nothing, and nobody would be told.
		Entry("a namespace of a blocked APIKey that cannot be", blocked("{namespace: team_acme, name: b}"), "spec.blocked[0].namespace", "spec.blocked has a namespace that no APIKey can be in: use lower case letters, digits and '-'"),
		Entry("a name of a blocked APIKey that cannot be", blocked("{namespace: a, name: 'leaky agent'}"), "spec.blocked[0].name", "spec.blocked has a name that no APIKey can have: use lower case letters, digits, '-' and '.'"),
		Entry("an unknown policy on imports", "imports: All", "spec.imports", `Unsupported value: "All": supported values: "Forbidden", "Foreign", "Any"`),
	)

	DescribeTable("of an Organization's status refuse", func(ctx SpecContext, status, field, message string) {
		Expect(tryStatus(ctx, manager, create(ctx, organization("{}")), status)).To(SatisfyAll(beRefused(field), beRefused(message)))
	},
		Entry("an observed generation that no object has", "observedGeneration: 0", "status.observedGeneration", "should be greater than or equal to 1"),
		Entry("an applied generation that no object has", "appliedGeneration: 0", "status.appliedGeneration", "should be greater than or equal to 1"),
		Entry("an empty id", "id: ''", "status.id", short(1)),
	)

	It("let the last entry be taken out of a list or an object", func(ctx SpecContext) {
		key := create(ctx, apiKey(acme+"\nrevokedKeyIDs: [0123456789ab]\nsecret: {labels: {a: b}}\nrotation: {interval: 720h, overlap: {min: 1h}}"))
		Expect(tryChange(ctx, key, acme+"\nrevokedKeyIDs: []\nsecret: {labels: {}}\nrotation: {overlap: {}, restart: {}}")).To(Succeed())
	})
})
