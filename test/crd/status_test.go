// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// validStatus is one that the manager could write.
const validStatus = `
observedGeneration: 1
appliedGeneration: 1
acceptance: Accepted
organizationID: acme
keyID: 0123456789ab
secretRef: {name: prod-agent}
scopes: [ingest, query, annotations, heartbeats]
expirationTime: 2099-12-31T23:59:59Z
lastUsedTime: 2026-01-02T03:04:06Z
versions:
- id: 0123456789ab
  sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  state: Active
  registrationTime: 2026-01-02T03:04:05Z
  activationTime: 2026-01-02T03:04:06Z
conditions:
- {type: Ready, status: "True", reason: Ready, message: "", observedGeneration: 1, lastTransitionTime: 2026-01-02T03:04:06Z}
- {type: Serving, status: "True", reason: Active, message: "", observedGeneration: 1, lastTransitionTime: 2026-01-02T03:04:06Z}
`

// tryStatus asks the API server whether it would let as write this status.
func tryStatus(ctx context.Context, as client.Client, object *unstructured.Unstructured, status string) error {
	changed := object.DeepCopy()
	changed.Object["status"] = fields(status)
	return as.Status().Update(ctx, changed, client.DryRunAll)
}

var _ = Describe("The status of an APIKey", func() {
	const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

	// version is one entry of versions.
	version := func(id, sha256, state string) string {
		return fmt.Sprintf("{id: %q, sha256: %q, state: %s, registrationTime: 2026-01-02T03:04:05Z}", id, sha256, state)
	}
	versions := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = version(fmt.Sprintf("%012x", i), fmt.Sprintf("%064x", i), "Pending")
		}
		return "versions: [" + strings.Join(list, ", ") + "]"
	}

	// revokedBy is a version that this user has revoked.
	revokedBy := func(user string) string {
		return fmt.Sprintf("versions: [{id: 0123456789ab, sha256: %s, state: Revoked, registrationTime: 2026-01-02T03:04:05Z, revokedBy: {%s}}]", digest, user)
	}

	// refused has n hashes that were refused.
	refused := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("'%064x'", i)
		}
		return "refusedImports: [" + strings.Join(list, ", ") + "]"
	}

	DescribeTable("may be", func(ctx SpecContext, status string) {
		Expect(tryStatus(ctx, manager, create(ctx, apiKey(acme)), status)).To(Succeed())
	},
		Entry("empty", "{}"),
		Entry("complete", validStatus),
		Entry("a version that is Pending", "versions: ["+version("0123456789ab", digest, "Pending")+"]"),
		Entry("16 versions", versions(16)),
		Entry("withdrawn", "acceptance: Withdrawn"),
		Entry("expired", "acceptance: Expired"),
		Entry("a version that a user has revoked", revokedBy("username: "+chars(253)+", uid: "+chars(128))),
		Entry("a uid of 128 characters", "uid: "+chars(128)),
		Entry("the uid of the APIKey that it was restored from, of 128 characters", "restoredFrom: "+chars(128)),
		Entry("16 conditions", conditions(16)),
		Entry("8 refused imports", refused(8)),
		Entry("a key that was lost", "drift: {count: 1, lastTime: 2026-01-02T03:04:05Z, lostKeyID: 0123456789ab}"),
		Entry("an organization's id of 150 characters", "organizationID: "+chars(150)),
	)

	DescribeTable("may not be", func(ctx SpecContext, status, message string) {
		Expect(tryStatus(ctx, manager, create(ctx, apiKey(acme)), status)).To(beRefused(message))
	},
		Entry("an acceptance that does not exist", "acceptance: Maybe", `status.acceptance: Unsupported value: "Maybe": supported values: "Accepted", "Withdrawn", "Expired"`),
		Entry("a scope that does not exist", "scopes: [sql]", `status.scopes[0]: Unsupported value: "sql"`),
		Entry("a scope twice", "scopes: [query, query]", `status.scopes[1]: Duplicate value: "query"`),
		Entry("five scopes", "scopes: [ingest, query, annotations, heartbeats, ingest]", "status.scopes: Too many: 5: must have at most 4 items"),
		Entry("a version that nobody has revoked", revokedBy("uid: x"), "status.versions[0].revokedBy.username: Required value"),
		Entry("a version that a user without a name has revoked", revokedBy("username: ''"), "revokedBy.username in body should be at least 1 chars long"),
		Entry("a version that a user with a name of 254 characters has revoked", revokedBy("username: "+chars(254)), "revokedBy.username: Too long: may not be more than 253"),
		Entry("a version that a user with a uid of 129 characters has revoked", revokedBy("username: x, uid: "+chars(129)), "revokedBy.uid: Too long: may not be more than 128"),
		Entry("17 versions", versions(17), "status.versions: Too many: 17: must have at most 16 items"),
		Entry("a version twice", "versions: ["+version("0123456789ab", digest, "Active")+", "+version("0123456789ab", digest, "Active")+"]", "status.versions[1]: Duplicate value"),
		Entry("a short sha256", "versions: ["+version("0123456789ab", digest[:63], "Active")+"]", "versions[0].sha256 in body should match '^[0-9a-f]{64}$'"),
		Entry("a long sha256", "versions: ["+version("0123456789ab", digest+"0", "Active")+"]", "versions[0].sha256 in body should match"),
		Entry("a sha256 in capitals", "versions: ["+version("0123456789ab", strings.ToUpper(digest), "Active")+"]", "versions[0].sha256 in body should match"),
		Entry("a key where its sha256 belongs", "versions: ["+version("0123456789ab", "hxk_"+chars(49), "Active")+"]", "versions[0].sha256 in body should match"),
		Entry("no sha256", "versions: [{id: 0123456789ab, state: Active, registrationTime: 2026-01-02T03:04:05Z}]", "status.versions[0].sha256: Required value"),
		Entry("a bad id", "versions: ["+version("prod-agent", digest, "Active")+"]", "versions[0].id in body should match '^[0-9a-f]{12}$'"),
		Entry("a state that does not exist", "versions: ["+version("0123456789ab", digest, "Done")+"]", `status.versions[0].state: Unsupported value: "Done": supported values: "Pending", "Active"`),
		Entry("no state", "versions: [{id: 0123456789ab, sha256: "+digest+", registrationTime: 2026-01-02T03:04:05Z}]", "status.versions[0].state: Required value"),
		Entry("a time of activation that is no time", "versions: [{id: 0123456789ab, sha256: "+digest+", state: Active, registrationTime: 2026-01-02T03:04:05Z, activationTime: now}]", "status.versions[0].activationTime"),
		Entry("a time of registration that is no time", "versions: [{id: 0123456789ab, sha256: "+digest+", state: Active, registrationTime: now}]", "status.versions[0].registrationTime"),
		Entry("no time of registration", "versions: [{id: 0123456789ab, sha256: "+digest+", state: Active}]", "status.versions[0].registrationTime: Required value"),
		Entry("17 conditions", conditions(17), "status.conditions: Too many: 17: must have at most 16 items"),
		Entry("a condition twice", `conditions: [
			{type: Ready, status: "True", reason: Test, message: "", lastTransitionTime: 2026-01-02T03:04:06Z},
			{type: Ready, status: "False", reason: Test, message: "", lastTransitionTime: 2026-01-02T03:04:06Z}]`, `status.conditions[1]: Duplicate value`),
		Entry("9 refused imports", refused(9), "status.refusedImports: Too many: 9: must have at most 8 items"),
		Entry("a refused import that is no hash", "refusedImports: [mine]", "refusedImports[0] in body should match '^[0-9a-f]{64}$'"),
		Entry("a key that was lost never", "drift: {count: 0, lastTime: 2026-01-02T03:04:05Z}", "drift.count in body should be greater than or equal to 1"),
		Entry("a key that was lost at no time", "drift: {count: 1}", "status.drift.lastTime: Required value"),
		Entry("a lost key's ID that is long", "drift: {count: 1, lastTime: 2026-01-02T03:04:05Z, lostKeyID: 0123456789abc}", "status.drift.lostKeyID: Too long: may not be more than 12"),
		Entry("a long key ID", "keyID: 0123456789abc", "status.keyID: Too long: may not be more than 12"),
		Entry("a uid of 129 characters", "uid: "+chars(129), "status.uid: Too long: may not be more than 128"),
		Entry("a uid of 129 characters that it was restored from", "restoredFrom: "+chars(129), "status.restoredFrom: Too long: may not be more than 128"),
		Entry("an organization's id of 151 characters", "organizationID: "+chars(151), "status.organizationID: Too long: may not be more than 150"),
		Entry("a reference without a name", "secretRef: {}", "status.secretRef.name: Required value"),
		Entry("a reference of 254 characters", "secretRef: {name: "+chars(254)+"}", "status.secretRef.name: Too long: may not be more than 253"),
		Entry("a reference to no Secret", "secretRef: {name: ''}", "secretRef.name in body should be at least 1 chars long"),
	)
})

var _ = Describe("The status of an Organization", func() {
	It("is the manager's to write", func(ctx SpecContext) {
		org := create(ctx, organization("{}"))
		Expect(tryStatus(ctx, manager, org, "{id: acme, observedGeneration: 1}")).To(Succeed())
	})

	It("has a condition of each type once", func(ctx SpecContext) {
		org := create(ctx, organization("{}"))
		ready := `{type: Ready, status: "True", reason: Test, message: "", lastTransitionTime: 2026-01-02T03:04:06Z}`
		Expect(tryStatus(ctx, manager, org, "conditions: ["+ready+"]")).To(Succeed())
		Expect(tryStatus(ctx, manager, org, "conditions: ["+ready+", "+ready+"]")).To(beRefused("status.conditions[1]: Duplicate value"))
	})

	It("has 8 conditions at most", func(ctx SpecContext) {
		org := create(ctx, organization("{}"))
		Expect(tryStatus(ctx, manager, org, conditions(8))).To(Succeed())
		Expect(tryStatus(ctx, manager, org, conditions(9))).To(beRefused("status.conditions: Too many: 9: must have at most 8 items"))
	})

	It("has an id of 150 characters at most", func(ctx SpecContext) {
		org := create(ctx, organization("{}"))
		Expect(tryStatus(ctx, manager, org, "id: "+chars(150))).To(Succeed())
		Expect(tryStatus(ctx, manager, org, "id: "+chars(151))).To(beRefused("status.id: Too long: may not be more than 150"))
	})
})

// conditions is a status with n conditions.
func conditions(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{type: Type%d, status: "False", reason: Test, message: "", lastTransitionTime: 2026-01-02T03:04:06Z}`, i)
	}
	return "conditions: [" + strings.Join(list, ", ") + "]"
}
