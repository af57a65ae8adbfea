// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
	"github.com/hexcovery/apikey-operator/internal/surface"
)

// importKey has a key of any form accepted, as one that was issued elsewhere.
func (f *fakeRegistry) importKey(key string, scopes ...v1alpha1.Scope) {
	digest := keys.Digest(sha256.Sum256([]byte(key)))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grants[digest] = registry.Grant{
		KeyID: digest.KeyID(), Namespace: "team-a", Name: "prod-agent", Organization: "acme", Scopes: scope.Of(scopes...), Imported: true,
	}
}

func TestDecideOnKeysIssuedElsewhere(t *testing.T) {
	const (
		imported = "9f2c4b1e-7d0a-4c3e-8f55-0d6f6a2b9c11"
		narrowed = "glc_eyJvIjoiMSJ9.c2lnbmF0dXJl.0123=="
		notKnown = "9f2c4b1e-7d0a-4c3e-8f55-0d6f6a2b9c12"
		forged   = "a-text-with-the-digest-of-a-minted-key"
		expired  = "an-imported-key-whose-time-has-passed"
		doubtful = "a-text-of-which-this-replica-is-unsure"
		broken   = keys.Prefix + "imported-though-no-key-of-ours-looks-so"
	)
	fake := newFakeRegistry()
	d := &decider{authenticator: fake, surface: surface.Default()}
	fake.importKey(imported, v1alpha1.AllScopes()...)
	fake.importKey(narrowed, v1alpha1.ScopeIngest)
	fake.importKey(broken, v1alpha1.AllScopes()...)
	fake.grants[sha256.Sum256([]byte(forged))] = registry.Grant{KeyID: "k", Namespace: "n", Name: "m", Organization: "acme", Scopes: scope.All()}
	fake.verdicts[sha256.Sum256([]byte(expired))] = registry.Expired
	fake.verdicts[sha256.Sum256([]byte(doubtful))] = registry.Undecided
	// One that another installation has minted has our form.
	ours, _ := mint(t)
	fake.importKey(ours, v1alpha1.AllScopes()...)

	for name, test := range map[string]struct {
		key, method, target string
		want                Reason
	}{
		"imported":                  {imported, "POST", "/v1/metrics", Allowed},
		"imported, of our form":     {ours, "POST", "/v1/metrics", Allowed},
		"imported, narrowed":        {narrowed, "POST", "/v1/metrics", Allowed},
		"imported, another scope":   {narrowed, "POST", "/api/v1/dsl", ScopeMissing},
		"imported, another path":    {imported, "POST", "/api/v1/sql", NotInSurface},
		"imported, ambiguous path":  {imported, "POST", "/v1/metrics/../dsl", AmbiguousPath},
		"imported, expired":         {expired, "POST", "/v1/metrics", ExpiredKey},
		"not imported":              {notKnown, "POST", "/v1/metrics", MalformedKey},
		"not imported, other path":  {notKnown, "POST", "/nowhere", MalformedKey},
		"in upper case":             {strings.ToUpper(imported), "POST", "/v1/metrics", MalformedKey},
		"quoted":                    {`"` + imported + `"`, "POST", "/v1/metrics", MalformedKey},
		"cut off":                   {imported[:len(imported)-1], "POST", "/v1/metrics", MalformedKey},
		"longer":                    {imported + "0", "POST", "/v1/metrics", MalformedKey},
		"too short to be looked up": {"hunter2", "POST", "/v1/metrics", MalformedKey},
		"digest of a minted key":    {forged, "POST", "/v1/metrics", MalformedKey},
		"hxk_, but no key of ours":  {broken, "POST", "/v1/metrics", MalformedKey},
		"two, joined":               {imported + "," + imported, "POST", "/v1/metrics", AmbiguousCredentials},
		"cannot be decided":         {doubtful, "POST", "/v1/metrics", Undecided},
	} {
		t.Run(name, func(t *testing.T) {
			got := d.decide(t.Context(), http.Header{keyHeader: {test.key}}, &requestAttributes{method: test.method, target: test.target, refusal: Allowed})
			if got.reason != test.want {
				t.Errorf("%v, want %v", got.reason, test.want)
			}
			if (got.grant == registry.Grant{}) == (got.reason == Allowed) {
				t.Errorf("%v with %+v", got.reason, got.grant)
			}
		})
	}
}

// oneAnswer is a registry that says the same of every digest.
type oneAnswer struct {
	grant   registry.Grant
	verdict registry.Verdict
}

func (a oneAnswer) Authenticate(keys.Digest) (registry.Grant, registry.Verdict) {
	return a.grant, a.verdict
}

func (oneAnswer) Ready() bool { return true }

// A hash has no form, and whoever may read a status knows some. Where only foreign keys
// may be imported, the hash of a key that was minted is worth nothing.
func TestNoMintedKeyIsAcceptedAsAForeignOne(t *testing.T) {
	const foreign = "9f2c4b1e-7d0a-4c3e-8f55-0d6f6a2b9c11"
	minted, _ := mint(t)
	broken := minted[:len(minted)-1] + string(minted[len(minted)-1]^1)
	for name, test := range map[string]struct {
		key     string
		verdict registry.Verdict
		want    Reason
	}{
		"a foreign one":                      {foreign, registry.Accepted, Allowed},
		"a foreign one, expired":             {foreign, registry.Expired, ExpiredKey},
		"a minted one":                       {minted, registry.Accepted, UnknownKey},
		"a minted one, expired":              {minted, registry.Expired, UnknownKey},
		"a minted one, undecided":            {minted, registry.Undecided, Undecided},
		"a minted one with a wrong checksum": {broken, registry.Accepted, MalformedKey},
		"a minted one, cut off":              {minted[:40], registry.Accepted, MalformedKey},
		"a minted one with more behind it":   {minted + "0123456789", registry.Accepted, MalformedKey},
		"the prefix, and something else":     {keys.Prefix + foreign, registry.Accepted, MalformedKey},
	} {
		t.Run(name, func(t *testing.T) {
			answer := oneAnswer{verdict: test.verdict}
			if test.verdict != registry.Undecided {
				answer.grant = registry.Grant{
					KeyID: "0123456789ab", Namespace: "team-b", Name: "thief", Organization: "globex",
					Scopes: scope.All(), Imported: true, ForeignOnly: true,
				}
			}
			d := &decider{authenticator: answer, surface: surface.Default()}
			c := requestAttributes{method: "POST", target: "/v1/metrics", refusal: Allowed}
			got := d.decide(t.Context(), http.Header{keyHeader: {test.key}}, &c)
			if got.reason != test.want {
				t.Errorf("%v, want %v", got.reason, test.want)
			}
			if test.want == UnknownKey && (c.owner != owner{} || got.counter != nil) {
				t.Errorf("it counts for %+v", c.owner)
			}
		})
	}
}

// An imported key is a key in X-API-Key and nowhere else.
func TestKeysIssuedElsewhereAreNoSessions(t *testing.T) {
	const imported = "9f2c4b1e-7d0a-4c3e-8f55-0d6f6a2b9c11"
	fake := newFakeRegistry()
	fake.importKey(imported, v1alpha1.AllScopes()...)
	d := &decider{authenticator: fake, surface: surface.Default()}
	for name, test := range map[string]struct {
		header http.Header
		want   Reason
	}{
		"as a bearer token":         {http.Header{authorizationHeader: {"Bearer " + imported}}, SessionsNotAccepted},
		"as Authorization":          {http.Header{authorizationHeader: {imported}}, WrongHeader},
		"beside Authorization":      {http.Header{keyHeader: {imported}, authorizationHeader: {"Bearer x"}}, AmbiguousCredentials},
		"twice":                     {http.Header{keyHeader: {imported, imported}}, AmbiguousCredentials},
		"beside a look-alike":       {http.Header{keyHeader: {imported}, "X_api_key": {imported}}, AmbiguousCredentials},
		"with Bearer in X-API-Key":  {http.Header{keyHeader: {"Bearer " + imported}}, MalformedKey},
		"with a blank at its end":   {http.Header{keyHeader: {imported + " "}}, MalformedKey},
		"in the right header alone": {http.Header{keyHeader: {imported}}, Allowed},
	} {
		got := d.decide(t.Context(), test.header, &requestAttributes{method: "POST", target: "/v1/logs", refusal: Allowed})
		if got.reason != test.want {
			t.Errorf("%s: %v, want %v", name, got.reason, test.want)
		}
	}
}

// Every contract answers with the identity of the APIKey that has imported the key, and
// no upstream gets to see the key itself.
func TestEachContractAcceptsKeysIssuedElsewhere(t *testing.T) {
	const imported, notKnown = "dd0c15f1b1c64c0ab5b3", "dd0c15f1b1c64c0ab5b4"
	h := start(t, func(c *Config) {
		withProxy(t, mirror(t, false).URL)(c)
		withGRPC(t)(c)
	})
	h.registry.importKey(imported, v1alpha1.AllScopes()...)
	for name, headers := range map[string][]string{
		"GET /auth/original":       {"X-Original-Method: POST", "X-Original-URI: /v1/logs"},
		"GET /auth/original-url":   {"X-Original-Method: POST", "X-Original-URL: https://hexcovery.example/v1/logs"},
		"GET /auth/forwarded":      {"X-Forwarded-Method: POST", "X-Forwarded-Uri: /v1/logs"},
		"POST /auth/envoy/v1/logs": nil,
	} {
		response, _ := exchange(t, h.gateways, raw(name, append(headers, "X-API-Key: "+imported)...))
		if response.StatusCode != http.StatusOK || response.Header.Get(DefaultOrganizationHeader) != "acme" || response.Header.Get(keyNameHeader) != "team-a/prod-agent" {
			t.Errorf("%s: %d with %v", name, response.StatusCode, response.Header)
		}
		response, body := exchange(t, h.gateways, raw(name, append(headers, "X-API-Key: "+notKnown)...))
		if got := readReason(t, response, body); got != "malformed_key" {
			t.Errorf("%s: %s", name, got)
		}
	}

	got := h.through(t, raw("POST /v1/logs", "X-API-Key: "+imported))
	if got.Header.Get(DefaultOrganizationHeader) != "acme" || got.Header.Get(keyHeader) != "" {
		t.Errorf("the upstream of the proxy received %v", got.Header)
	}
	client := authv3.NewAuthorizationClient(dialGRPC(t, h.server.config.GRPC.Addr().String(), insecure.NewCredentials()))
	for key, want := range map[string]string{imported: "allowed", notKnown: "malformed_key"} {
		response, err := client.Check(t.Context(), question("POST", "/v1/logs", "x-api-key: "+key))
		if err != nil {
			t.Fatal(err)
		}
		if got := reasonOf(t, response); got != want {
			t.Errorf("gRPC: %s, want %s", got, want)
		}
	}
	for what, text := range map[string]string{"log": h.log.String(), "metrics": h.scrape(t)} {
		if strings.Contains(text, imported) || strings.Contains(text, notKnown) {
			t.Errorf("the %s hold a key", what)
		}
	}
}

func benchmarkJunk(b *testing.B, key string, want Reason) {
	fake := newFakeRegistry()
	d := &decider{authenticator: fake, surface: surface.Default()}
	header := typicalHeader(key)
	b.ReportAllocs()
	for b.Loop() {
		if got := d.decide(b.Context(), header, &requestAttributes{method: "POST", target: "/v1/metrics", refusal: Allowed}); got.reason != want {
			b.Fatal(got)
		}
	}
}

// What junk costs: with hxk_ it is refused by its form, otherwise it is looked up.
func BenchmarkJunk(b *testing.B) {
	unknown, _ := mint(b)
	b.Run("malformed, of our form", func(b *testing.B) { benchmarkJunk(b, unknown[:len(unknown)-1]+"!", MalformedKey) })
	b.Run("too short", func(b *testing.B) { benchmarkJunk(b, "hunter2", MalformedKey) })
	b.Run("foreign", func(b *testing.B) { benchmarkJunk(b, "9f2c4b1e-7d0a-4c3e-8f55-0d6f6a2b9c11", MalformedKey) })
	b.Run("foreign, longest", func(b *testing.B) { benchmarkJunk(b, strings.Repeat("x", keys.ForeignMaxLength), MalformedKey) })
	b.Run("unknown", func(b *testing.B) { benchmarkJunk(b, unknown, UnknownKey) })
}
