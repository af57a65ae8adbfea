// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// acme is the least that an APIKey must say.
const acme = "organizationRef: {name: acme}"

var _ = Describe("APIKey", func() {
	// more is acme with another field of spec.
	more := func(format string, args ...any) string { return acme + "\n" + fmt.Sprintf(format, args...) }
	// secret is acme with a field of spec.secret.
	secret := func(format string, args ...any) string {
		return acme + "\nsecret: {" + fmt.Sprintf(format, args...) + "}"
	}

	DescribeTable("accepts", func(ctx SpecContext, spec string) {
		Expect(tryCreate(ctx, apiKey(spec))).To(Succeed())
	},
		Entry("nothing but an organization", acme),
		Entry("an organization's name of 253 characters", fmt.Sprintf("organizationRef: {name: %s}", chars(253))),
		Entry("a description of 1024 characters", more("description: %s", chars(1024))),
		Entry("each scope", more("scopes: [ingest, query, annotations, heartbeats]")),
		Entry("one scope", more("scopes: [query]")),
		Entry("a time of expiry", more("expirationTime: 2026-12-31T23:59:59Z")),
		Entry("a time of expiry in another time zone, with a fraction", more("expirationTime: 2028-02-29T23:59:59.123456789+05:30")),
		Entry("a time of expiry in the past, which the manager reports", more("expirationTime: 2001-01-01T00:00:00Z")),
		Entry("a ttl of a minute", more("ttl: 1m")),
		Entry("a ttl of ten years", more("ttl: 87840h")),
		Entry("a ttl in several units", more("ttl: 1h30m0.5s")),
		Entry("a ttl in small units", more("ttl: 60000ms1us1µs1ns")),
		Entry("64 keys that are revoked", more("revokedKeyIDs: [%s]", keyIDs(64))),
		Entry("a key that is pinned", more("activeKeyID: 0123456789ab")),
		Entry("a key that is pinned and revoked", more("activeKeyID: 0123456789ab\nrevokedKeyIDs: [0123456789ab]")),
		Entry("an overlap of nothing", more("rotation: {overlap: {min: '0', idle: 0s}}")),
		Entry("suspension", more("suspend: true")),
		Entry("a Secret's name", secret("name: my-key.example")),
		Entry("a Secret's name of 244 characters", secret("name: %s", chars(244))),
		Entry("labels with and without a prefix", secret("labels: {app: web, example.com/tier: back-end_1, empty: ''}")),
		Entry("labels that policies demand", secret("labels: {app.kubernetes.io/part-of: agent, node.k8s.io/x: x}")),
		Entry("a label whose prefix only ends like a reserved one", secret("labels: {notkubernetes.io/x: x}")),
		Entry("an annotation below k8s.io", secret("annotations: {reflector.v1.k8s.emberstack.com/x: x, node.k8s.io/x: x}")),
		Entry("a label's name of 317 characters", secret("labels: {%s/%s: x}", dns(253), chars(63))),
		Entry("a label's value of 63 characters", secret("labels: {app: %s}", chars(63))),
		Entry("32 labels", secret("labels: %s", entries(32, "label-%d"))),
		Entry("annotations", secret("annotations: {note: 'any text, really!', example.com/a: x}")),
		Entry("an annotation of 4096 characters", secret("annotations: {note: %s}", chars(4096))),
		Entry("32 annotations", secret("annotations: %s", entries(32, "note-%d"))),
		Entry("templates", secret("data: {HEXCOVERY_API_KEY: $(API_KEY), .dot_file-1: plain, a..b: '', -: x}")),
		Entry("a template of 16384 characters", secret("data: {text: %s}", chars(16384))),
		Entry("a data name of 253 characters", secret("data: {%s: x}", chars(253))),
		Entry("32 templates", secret("data: %s", entries(32, "entry-%d"))),
		Entry("no templates at all", secret("data: {}")),
		Entry("an organization's name with dots and hyphens", "organizationRef: {name: a-1.b--2}"),
		Entry("a Secret of 64 KiB", secret("%s", secretOfSize(64<<10, "a"))),
	)

	DescribeTable("refuses", func(ctx SpecContext, spec, message string) {
		Expect(tryCreate(ctx, apiKey(spec))).To(beRefused(message))
	},
		Entry("an empty spec", "{}", "spec.organizationRef: Required value"),
		Entry("a reference without a name", "organizationRef: {}", "spec.organizationRef.name: Required value"),
		Entry("an empty name", "organizationRef: {name: ''}", "spec.organizationRef.name in body should be at least 1 chars long"),
		Entry("an organization's name of 254 characters", fmt.Sprintf("organizationRef: {name: %s}", chars(254)), "spec.organizationRef.name: Too long: may not be more than 253"),

		Entry("65 keys that are revoked", more("revokedKeyIDs: [%s]", keyIDs(65)), "spec.revokedKeyIDs: Too many: 65: must have at most 64 items"),
		Entry("a key that is revoked twice", more("revokedKeyIDs: [0123456789ab, 0123456789ab]"), `spec.revokedKeyIDs[1]: Duplicate value: "0123456789ab"`),
		Entry("a key that is revoked by its hash", more("revokedKeyIDs: ['%064x']", 1), "spec.revokedKeyIDs[0] in body should match '^[0-9a-f]{12}$'"),
		Entry("a key that is revoked by itself", more("revokedKeyIDs: [hxk_%s]", chars(49)), "spec.revokedKeyIDs[0] in body should match"),
		Entry("a pin of a name", more("activeKeyID: latest"), "spec.activeKeyID in body should match '^[0-9a-f]{12}$'"),
		Entry("a pin of a number", more("activeKeyID: 123456789012"), "spec.activeKeyID in body must be of type string"),
		Entry("a description of 1025 characters", more("description: %s", chars(1025)), "spec.description: Too long: may not be more than 1024"),
		Entry("a description of a thousand lines", more("description: %q", strings.Repeat("one more line\n", 1000)), "spec.description: Too long: may not be more than 1024"),

		Entry("a scope that does not exist", more("scopes: [ingest, sql]"), `spec.scopes[1]: Unsupported value: "sql": supported values: "ingest", "query", "annotations", "heartbeats"`),
		Entry("a scope twice", more("scopes: [ingest, ingest]"), `spec.scopes[1]: Duplicate value: "ingest"`),
		Entry("no scope at all", more("scopes: []"), "spec.scopes in body should have at least 1 items"),
		Entry("five scopes", more("scopes: [ingest, query, annotations, heartbeats, ingest]"), "spec.scopes: Too many: 5: must have at most 4 items"),

		Entry("a ttl below a minute", more("ttl: 59s"), "spec.ttl is not between 1m and 87840h (ten years): write it as 720h"),
		Entry("a ttl above ten years", more("ttl: 87840h1s"), "spec.ttl is not between 1m and 87840h"),
		Entry("a negative ttl", more("ttl: -1h"), "spec.ttl is not between 1m and 87840h"),
		Entry("a ttl that is no number of nanoseconds", more("ttl: 9999999999999999999h"), "spec.ttl is not between 1m and 87840h"),
		Entry("a ttl in days", more("ttl: 30d"), "spec.ttl"),
		Entry("a ttl that is a number", more("ttl: 60"), `spec.ttl: Invalid value: "integer"`),
		Entry("a ttl of 33 characters", more("ttl: %sh", strings.Repeat("0", 31)+"1"), "spec.ttl: Too long: may not be more than 32"),
		Entry("a time of expiry and a ttl", more("expirationTime: 2026-12-31T23:59:59Z\nttl: 1h"), "spec.expirationTime and spec.ttl are both set: use one of them"),
		Entry("a time of expiry that is no time", more("expirationTime: tomorrow"), "spec.expirationTime"),

		Entry("a time that Go does not read, for its t", more("expirationTime: '2027-01-01t00:00:00z'"), "spec.expirationTime in body should match"),
		Entry("a time that Go does not read, for its offset", more("expirationTime: '2027-01-01T00:00:00+99:99'"), "spec.expirationTime in body should match"),
		Entry("a time with more behind it", more("expirationTime: '2027-01-01T00:00:00Z and more'"), "spec.expirationTime"),
		Entry("a time with another sign before its fraction", more("expirationTime: '2027-01-01T00:00:00,5Z'"), "spec.expirationTime in body should match"),
		Entry("the 30th of February", more("expirationTime: '2027-02-30T00:00:00Z'"), "spec.expirationTime in body should match"),
		Entry("a 29th of February that there is not", more("expirationTime: '2100-02-29T00:00:00Z'"), "spec.expirationTime is a 29th of February in a year that has none"),
		Entry("a list in place of a time", more("expirationTime: []"), "spec.expirationTime"),
		Entry("a leap second", more("expirationTime: '2016-12-31T23:59:60Z'"), "spec.expirationTime in body should match"),
		Entry("a year that has no four digits in UTC", more("expirationTime: '9999-12-31T23:59:59-01:00'"), "spec.expirationTime in body should match"),
		Entry("the year 0", more("expirationTime: '0000-01-01T00:00:00+01:00'"), "spec.expirationTime"),
		Entry("an organization's name that is a path", "organizationRef: {name: a/b}", "spec.organizationRef.name in body should match"),
		Entry("an organization's name that leads up", "organizationRef: {name: ..}", "spec.organizationRef.name in body should match"),
		Entry("an organization's name in capitals", "organizationRef: {name: Acme}", "spec.organizationRef.name in body should match"),
		Entry("a Secret of more than 64 KiB", secret("%s", secretOfSize(64<<10+1, "a")), "spec.secret is larger than 64 KiB: shorten its data, labels and annotations, names and values taken together"),
		Entry("a Secret of more than 64 KiB in UTF-8", secret("%s", secretOfSize(33<<10, "ä")), "spec.secret is larger than 64 KiB"),

		Entry("a Secret's name in capitals", secret("name: MyKey"), "spec.secret.name is not a valid name for a Secret: use lower case letters, digits, '-' and '.', at most 244 characters"),
		Entry("a Secret's name that is a path", secret("name: ../other"), "spec.secret.name is not a valid name for a Secret"),
		Entry("an empty Secret's name", secret("name: ''"), "spec.secret.name is not a valid name for a Secret"),
		Entry("a Secret's name of 245 characters", secret("name: %s", chars(245)), "spec.secret.name: Too long: may not be more than 244"),

		Entry("a label's name with a space", secret("labels: {'my app': x}"), "spec.secret.labels has a name that is not valid for a label: use [prefix/]name"),
		Entry("a label's name of two parts", secret("labels: {a/b/c: x}"), "spec.secret.labels has a name that is not valid for a label"),
		Entry("an empty label's name", secret("labels: {'': x}"), "spec.secret.labels has a name that is not valid for a label"),
		Entry("a label's name of 64 characters", secret("labels: {%s: x}", chars(64)), "spec.secret.labels has a name that is not valid for a label"),
		Entry("the operator's label", secret("labels: {auth.hexcovery.io/apikey: other}"), "spec.secret.labels has a reserved name: names under auth.hexcovery.io, kubernetes.io, kubectl.kubernetes.io and k8s.io cannot be set"),
		Entry("a label below the operator's prefix", secret("labels: {any.auth.hexcovery.io/x: x}"), "spec.secret.labels has a reserved name"),
		Entry("a label of kubernetes.io", secret("labels: {kubernetes.io/metadata.name: x}"), "spec.secret.labels has a reserved name"),
		Entry("a label of k8s.io", secret("labels: {k8s.io/x: x}"), "spec.secret.labels has a reserved name"),
		Entry("a label's value with a space", secret("labels: {app: 'a b'}"), "spec.secret.labels has a value that is not valid for a label: at most 63 letters, digits, '-', '_' and '.'"),
		Entry("a label's value of 64 characters", secret("labels: {app: %s}", chars(64)), "spec.secret.labels.app: Too long: may not be more than 63"),
		Entry("33 labels", secret("labels: %s", entries(33, "label-%d")), "spec.secret.labels: Too many: 33: must have at most 32 items"),

		Entry("an annotation's name with a space", secret("annotations: {'my note': x}"), "spec.secret.annotations has a name that is not valid for an annotation: use [prefix/]name"),
		Entry("the operator's annotation", secret("annotations: {auth.hexcovery.io/key-id: 0123456789ab}"), "spec.secret.annotations has a reserved name: names under auth.hexcovery.io, kubernetes.io, kubectl.kubernetes.io and k8s.io cannot be set"),
		Entry("an annotation of kubernetes.io", secret("annotations: {kubernetes.io/service-account.name: x}"), "spec.secret.annotations has a reserved name"),
		Entry("kubectl's annotation", secret("annotations: {kubectl.kubernetes.io/last-applied-configuration: x}"), "spec.secret.annotations has a reserved name"),
		Entry("an annotation of k8s.io", secret("annotations: {k8s.io/x: x}"), "spec.secret.annotations has a reserved name"),
		Entry("an annotation of 4097 characters", secret("annotations: {note: %s}", chars(4097)), "spec.secret.annotations.note: Too long: may not be more than 4096"),
		Entry("33 annotations", secret("annotations: %s", entries(33, "note-%d")), "spec.secret.annotations: Too many: 33: must have at most 32 items"),

		Entry("another value for api-key", secret("data: {api-key: mine}"), "spec.secret.data cannot set api-key: it always holds the key itself"),
		Entry("a data name with a slash", secret("data: {a/b: x}"), "spec.secret.data has a name that a Secret cannot hold: use letters, digits, '-', '_' and '.', and no '..' at the beginning"),
		Entry("a data name with a line end", secret(`data: {"a\n": x}`), "spec.secret.data has a name that a Secret cannot hold"),
		Entry("an empty data name", secret("data: {'': x}"), "spec.secret.data has a name that a Secret cannot hold"),
		Entry("the data name .", secret("data: {.: x}"), "spec.secret.data has a name that a Secret cannot hold"),
		Entry("the data name ..", secret("data: {..: x}"), "spec.secret.data has a name that a Secret cannot hold"),
		Entry("a data name that begins with ..", secret("data: {..data: x}"), "spec.secret.data has a name that a Secret cannot hold"),
		Entry("a data name of 254 characters", secret("data: {%s: x}", chars(254)), "spec.secret.data has a name that a Secret cannot hold"),
		Entry("a template of 16385 characters", secret("data: {text: %s}", chars(16385)), "spec.secret.data.text: Too long: may not be more than 16384"),
		Entry("33 templates", secret("data: %s", entries(33, "entry-%d")), "spec.secret.data: Too many: 33: must have at most 32 items"),
	)

	It("accepts a name of 63 characters and refuses one of 64, which no label could hold", func(ctx SpecContext) {
		Expect(tryCreate(ctx, named(apiKey(acme), chars(63)))).To(Succeed())
		Expect(tryCreate(ctx, named(apiKey(acme), chars(64)))).To(beRefused("metadata.name is longer than 63 characters: it becomes a label of the Secret; choose a shorter name"))
	})

	It("refuses to be without a spec", func(ctx SpecContext) {
		empty := apiKey(acme)
		delete(empty.Object, "spec")
		Expect(tryCreate(ctx, empty)).To(beRefused("spec: Required value"))
	})

	It("refuses a field that it does not know, where the client asks for it", func(ctx SpecContext) {
		Expect(tryCreate(ctx, apiKey(more("scope: ingest")))).To(MatchError(ContainSubstring(`unknown field "spec.scope"`)))
	})

	It("adds nothing to what was applied, so that GitOps sees no difference", func(ctx SpecContext) {
		applied := apiKey(acme)
		spec := applied.DeepCopy().Object["spec"]
		create(ctx, applied)
		Expect(applied.Object).To(HaveKeyWithValue("spec", spec))
		Expect(applied.Object).NotTo(HaveKey("status"))

		again := applied.DeepCopy()
		Expect(admin.Update(ctx, again)).To(Succeed())
		Expect(again.GetResourceVersion()).To(Equal(applied.GetResourceVersion()))
	})

	It("counts generations by changes of the spec", func(ctx SpecContext) {
		key := create(ctx, apiKey(acme))
		Expect(key.GetGeneration()).To(Equal(int64(1)))
		key.SetLabels(map[string]string{"app": "web"})
		Expect(admin.Update(ctx, key)).To(Succeed())
		Expect(key.GetGeneration()).To(Equal(int64(1)))
		key.Object["spec"] = fields(more("suspend: true"))
		Expect(admin.Update(ctx, key)).To(Succeed())
		Expect(key.GetGeneration()).To(Equal(int64(2)))
	})

	DescribeTable("can change", func(ctx SpecContext, before, after string) {
		key := create(ctx, apiKey(before))
		Expect(tryChange(ctx, key, after)).To(Succeed())
	},
		Entry("its scopes", more("scopes: [ingest]"), more("scopes: [query, ingest]")),
		Entry("its scopes to all", more("scopes: [ingest]"), acme),
		Entry("its expiry", more("expirationTime: 2026-12-31T23:59:59Z"), acme),
		Entry("its suspension", more("suspend: true"), acme),
		Entry("labels and templates of the Secret", secret("labels: {a: b}, data: {c: d}"), acme),
		Entry("other fields beside the Secret's name", secret("name: here"), secret("name: here, labels: {a: b}")),
	)

	It("may say the Secret's default name, and stop saying it", func(ctx SpecContext) {
		key := create(ctx, named(apiKey(acme), "says-its-name"))
		Expect(tryChange(ctx, key, secret("name: says-its-name"))).To(Succeed())
		key = create(ctx, named(apiKey(secret("name: says-its-name-2")), "says-its-name-2"))
		Expect(tryChange(ctx, key, acme)).To(Succeed())
		Expect(tryChange(ctx, key, secret("labels: {a: b}"))).To(Succeed())
	})

	DescribeTable("cannot change", func(ctx SpecContext, before, after, message string) {
		key := create(ctx, apiKey(before))
		Expect(tryChange(ctx, key, after)).To(beRefused(message))
	},
		Entry("its organization", acme, "organizationRef: {name: globex}", "spec.organizationRef: Forbidden: spec.organizationRef is immutable: a key belongs to one organization; create another APIKey instead"),
		Entry("the Secret's name from the default", acme, secret("name: other"), "spec.secret.name: Forbidden: spec.secret.name is immutable: what mounts the Secret would keep a key that nothing renews; create another APIKey instead"),
		Entry("the Secret's name from the default, beside other fields", secret("labels: {a: b}"), secret("name: other, labels: {a: b}"), "spec.secret.name is immutable"),
		Entry("the Secret's name to another", secret("name: one"), secret("name: two"), "spec.secret.name is immutable"),
		Entry("the Secret's name to the default", secret("name: one"), acme, "spec.secret.name is immutable"),
		Entry("the Secret's name to the default, beside other fields", secret("name: one"), secret("labels: {a: b}"), "spec.secret.name is immutable"),
	)

	It("names a Secret's data as the API server does", func(ctx SpecContext) {
		// What the schema accepts, the API server has to accept in a Secret:
		// otherwise the manager could only say so in a condition.
		for _, name := range []string{"api.key", "...", "..", "..data", ".", "-", "_", "a/b", "ä", chars(253), chars(254)} {
			wanted := tryCreate(ctx, apiKey(secret("data: {%q: x}", name)))
			held := tryCreate(ctx, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "Secret",
				"metadata": map[string]any{"namespace": teamNamespace, "name": "held"},
				"data":     map[string]any{name: ""},
			}})
			Expect(wanted == nil).To(Equal(held == nil), "%q: the schema says %v, a Secret says %v", name, wanted, held)
		}
	})

	It("shows what people look for, under its short name and its category", func(ctx SpecContext) {
		key := create(ctx, named(apiKey(acme), "shown"))
		key.Object["status"] = fields(validStatus)
		Expect(manager.Status().Update(ctx, key)).To(Succeed())
		for _, resource := range []string{"ak", "hexcovery"} {
			out, err := cluster.Kubectl(ctx, "get", resource, "--namespace", teamNamespace).CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
			Expect(string(out)).To(MatchRegexp(`NAME +ORG +READY +STATUS +KEY ID +LAST USED +EXPIRES +AGE`))
			Expect(string(out)).To(MatchRegexp(`shown +acme +True +Active +0123456789ab +\d+[ydhms]+ +2099-12-31T23:59:59Z +\d+[ydhms]`))
		}
	})

	It("ignores a status that is created with it", func(ctx SpecContext) {
		key := apiKey(acme)
		key.Object["status"] = fields(validStatus)
		create(ctx, key)
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		Expect(key.Object).NotTo(HaveKey("status"))
	})
})

// secretOfSize is the data, labels and annotations of a spec.secret, whose names and values
// are so many characters together, most of them char.
func secretOfSize(characters int, char string) string {
	text := "labels: {l: v}, annotations: {a: w}, data: {"
	characters -= len("lvaw")
	for i := 0; characters > 0; i++ {
		n := min(16384, characters-1)
		text += fmt.Sprintf("%c: %s, ", 'a'+i, strings.Repeat(char, n))
		characters -= n + 1
	}
	return text + "}"
}

// dns is a DNS subdomain of n characters.
func dns(n int) string {
	name := strings.Repeat(chars(62)+".", n/63+1)[:n]
	if strings.HasSuffix(name, ".") {
		name = name[:n-1] + "a"
	}
	return name
}

// keyIDs are n different ones, as a list in YAML has them.
func keyIDs(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("'%012x'", i)
	}
	return strings.Join(list, ", ")
}
