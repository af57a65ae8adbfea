// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/surface"
)

// ask sends a gateway's request over a real socket and returns the reason.
func (h *harness) ask(t testing.TB, path string, headers ...string) string {
	t.Helper()
	response, body := exchange(t, h.gateways, raw("GET "+path, headers...))
	if response.StatusCode == http.StatusOK {
		return Allowed.String()
	}
	if got := response.Header["X-Auth-Problem"]; len(got) != 1 || got[0] != body {
		t.Errorf("%s: the problem in the header is %q, not %q", path, got, body)
	}
	return readReason(t, response, body)
}

// The contracts, each with a request for POST /v1/metrics.
var typical = map[string][]string{
	"/auth/original":     {"X-Original-Method: POST", "X-Original-URI: /v1/metrics"},
	"/auth/original-url": {"X-Original-Method: POST", "X-Original-URL: https://hexcovery.example:8443/v1/metrics"},
	"/auth/forwarded":    {"X-Forwarded-Method: POST", "X-Forwarded-Uri: /v1/metrics"},
}

// A gateway that passes on what changes the meaning of the request is told so.
func TestRequestsThatAreToBecomeOthers(t *testing.T) {
	h := start(t, nil)
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.ScopeIngest)
	for path, headers := range typical {
		for header, want := range map[string]Reason{
			"X-HTTP-Method-Override: POST":   Allowed,
			"X-HTTP-Method-Override: DELETE": MethodOverridden,
			"X_Http_Method: PUT":             MethodOverridden,
			"X-Method-Override: post":        MethodOverridden,
			"Upgrade: websocket":             UpgradeRefused,
			"Upgrade: h2c":                   UpgradeRefused,
			"Content_Length: 5":              AmbiguousHeaders,
			"Transfer.Encoding: chunked":     AmbiguousHeaders,
		} {
			if got := h.ask(t, path, append([]string{key, header}, headers...)...); got != want.String() {
				t.Errorf("%s with %s: %s, want %s", path, header, got, want)
			}
		}
		for query, want := range map[string]Reason{
			"a=_method&method=PUT&x_method=1": Allowed,
			"_method=DELETE":                  MethodOverridden,
			"a=b&_METHOD=put":                 MethodOverridden,
			"a;%5Fme%74hod=PUT":               MethodOverridden,
			"_method":                         MethodOverridden,
		} {
			changed := []string{headers[0], headers[1] + "?" + query, key}
			if got := h.ask(t, path, changed...); got != want.String() {
				t.Errorf("%s with ?%s: %s, want %s", path, query, got, want)
			}
		}
	}
}

func TestAllowedIsExactly200WithTheWholeIdentity(t *testing.T) {
	h := start(t, func(c *Config) { c.OrganizationHeader = "X-Hexcovery-Organization" })
	key := h.registry.accept(t, v1alpha1.AllScopes()...)
	for path, headers := range typical {
		// A gateway may ask with any method, and pass on any of the client's headers.
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
			request := append([]string{"x-api-key: " + key, "X-Hexcovery-Organization: evil", "X-API-Key-ID: evil", "Content-Type: application/grpc"}, headers...)
			response, body := exchange(t, h.gateways, raw(method+" "+path+"?x=y", request...))
			if response.StatusCode != http.StatusOK || body != "" {
				t.Fatalf("%s %s: %d %q", method, path, response.StatusCode, body)
			}
			got := response.Header
			if len(got["X-Hexcovery-Organization"]) != 1 || got.Get("X-Hexcovery-Organization") != "acme" ||
				got.Get("X-API-Key-Name") != "team-a/prod-agent" || len(got.Get("X-API-Key-ID")) != 12 || got.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %v", method, path, got)
			}
		}
	}
}

// To a gateway a 200 is a yes, so what a gRPC client would like does not count.
func TestGatewaysGetPlainStatusesForGRPC(t *testing.T) {
	h := start(t, nil)
	for path, headers := range typical {
		for _, contentType := range []string{"application/grpc", "application/grpc+proto"} {
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+h.gateways+path, nil)
			request.Header.Set("Content-Type", contentType)
			for _, header := range headers {
				name, value, _ := strings.Cut(header, ": ")
				request.Header.Set(name, value)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: %d", path, response.StatusCode)
			}
		}
	}
}

func TestRefusalsOfKeys(t *testing.T) {
	h := start(t, nil)
	good := h.registry.accept(t, v1alpha1.ScopeIngest)
	unknown, _ := mint(t)
	for path, headers := range typical {
		for name, test := range map[string]struct {
			headers []string
			want    Reason
		}{
			"good":             {[]string{"X-API-Key: " + good}, Allowed},
			"good, in gRPC":    {[]string{"x-api-key:" + good + "\t "}, Allowed},
			"none":             {nil, MissingKey},
			"empty":            {[]string{"X-API-Key:"}, MissingKey},
			"twice":            {[]string{"X-API-Key: " + good, "X-API-Key: " + good}, AmbiguousCredentials},
			"in two spellings": {[]string{"X-API-Key: " + good, "x-api-KEY: " + unknown}, AmbiguousCredentials},
			"joined":           {[]string{"X-API-Key: " + good + ", " + good}, AmbiguousCredentials},
			"underscores":      {[]string{"X_API_Key: " + good}, AmbiguousCredentials},
			"look-alike too":   {[]string{"X-API-Key: " + good, "X.API.Key: " + unknown}, AmbiguousCredentials},
			"and a session":    {[]string{"X-API-Key: " + good, "Authorization: Bearer ey"}, AmbiguousCredentials},
			"as a session":     {[]string{"Authorization: Bearer " + good}, WrongHeader},
			"session":          {[]string{"Authorization: Bearer ey.ey.sig"}, SessionsNotAccepted},
			"password":         {[]string{"Authorization: Basic dTpw"}, WrongHeader},
			"cut off":          {[]string{"X-API-Key: " + good[:40]}, MalformedKey},
			"folded line":      {[]string{"X-API-Key: " + good[:20] + "\r\n " + good[20:]}, MalformedKey},
			"unknown":          {[]string{"X-API-Key: " + unknown}, UnknownKey},
			"expired":          {[]string{"X-API-Key: " + h.registry.judged(t, registry.Expired)}, ExpiredKey},
			"undecided":        {[]string{"X-API-Key: " + h.registry.judged(t, registry.Undecided)}, Undecided},
		} {
			if got := h.ask(t, path, append(test.headers, headers...)...); got != test.want.String() {
				t.Errorf("%s, %s: %s, want %s", path, name, got, test.want)
			}
			if test.want.Status() == http.StatusUnauthorized {
				// Nor does it depend on what the gateway says.
				if got := h.ask(t, path, test.headers...); got != test.want.String() {
					t.Errorf("%s, %s, without a claim: %s, want %s", path, name, got, test.want)
				}
			}
		}
	}
}

func TestWrongHeaderNamesTheRightOne(t *testing.T) {
	h := start(t, nil)
	key := h.registry.accept(t, v1alpha1.ScopeIngest)
	for _, value := range []string{"Bearer " + key, "Bearer ey", key} {
		_, body := exchange(t, h.gateways, raw("GET /auth/original", "Authorization: "+value))
		if !strings.Contains(body, "X-API-Key") {
			t.Errorf("%s", body)
		}
	}
}

func TestEndpointsBelieveTheirOwnHeadersOnly(t *testing.T) {
	h := start(t, nil)
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.ScopeIngest)
	for path := range typical {
		for other, headers := range typical {
			want := BadGatewayRequest.String()
			if path == other {
				want = Allowed.String()
			}
			if got := h.ask(t, path, append([]string{key}, headers...)...); got != want {
				t.Errorf("%s with the headers of %s: %s, want %s", path, other, got, want)
			}
		}
	}
	// A gateway at the wrong endpoint, whose client sends what that endpoint reads.
	for path, claimed := range typical {
		for other := range typical {
			if path == other {
				continue
			}
			actual := map[string][]string{
				"/auth/original":     {"X-Original-Method: POST", "X-Original-URI: /api/v1/admin"},
				"/auth/original-url": {"X-Original-Method: POST", "X-Original-URL: https://h/api/v1/admin"},
				"/auth/forwarded":    {"X-Forwarded-Method: POST", "X-Forwarded-Uri: /api/v1/admin"},
			}[other]
			headers := append(append([]string{key}, claimed...), actual...)
			if got := h.ask(t, path, headers...); got != BadGatewayRequest.String() {
				t.Errorf("%s, asked by a gateway of %s: %s", path, other, got)
			}
		}
	}
}

func TestGatewayRequestsThatAreNotClear(t *testing.T) {
	h := start(t, nil)
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.AllScopes()...)
	const original, url, forwarded = "/auth/original", "/auth/original-url", "/auth/forwarded"
	for _, test := range []struct {
		path    string
		want    Reason
		headers []string
	}{
		{original, BadGatewayRequest, nil},
		{original, BadGatewayRequest, []string{"X-Original-Method: POST"}},
		{original, BadGatewayRequest, []string{"X-Original-URI: /v1/logs"}},
		{original, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URI:"}},
		{original, BadGatewayRequest, []string{"X-Original-Method:", "X-Original-URI: /v1/logs"}},
		{original, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-Method: POST", "X-Original-URI: /v1/logs"}},
		{original, BadGatewayRequest, []string{"X-Original-Method: POST, GET", "X-Original-URI: /v1/logs"}},
		{original, BadGatewayRequest, []string{"X-Original-Method: POST GET", "X-Original-URI: /v1/logs"}},
		{original, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs", "X-Original-URI: /v1/logs"}},
		// A client's value, with the gateway's appended.
		{original, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs?, /admin"}},
		{original, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs?,/admin"}},
		{original, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs?,\t/admin"}},
		{original, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs /admin"}},
		{original, AmbiguousHeaders, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs", "X_Original_URI: /v1/logs"}},
		{original, AmbiguousHeaders, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs", "X.Original-Method: GET"}},
		{original, AmbiguousHeaders, []string{"X_Original_Method: POST", "X_Original_URI: /v1/logs"}},
		{original, AmbiguousHeaders, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs", "X_Scope_OrgID: evil"}},
		{original, AmbiguousHeaders, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs", "X-API-Key_ID: evil"}},
		{original, AmbiguousHeaders, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs", "X-API-Key.Name: evil"}},
		{original, AmbiguousPath, []string{"X-Original-Method: POST", "X-Original-URI: http://host/v1/logs"}},
		{original, AmbiguousPath, []string{"X-Original-Method: POST", "X-Original-URI: //v1/logs"}},
		{original, AmbiguousPath, []string{"X-Original-Method: POST", "X-Original-URI: /v1/%6cogs"}},
		{original, AmbiguousPath, []string{"X-Original-Method: POST", "X-Original-URI: /v1/traces/../logs"}},
		{original, AmbiguousPath, []string{"X-Original-Method: OPTIONS", "X-Original-URI: *"}},
		{original, MethodNotAllowed, []string{"X-Original-Method: post", "X-Original-URI: /v1/logs"}},
		{original, MethodNotAllowed, []string{"X-Original-Method: TRACE", "X-Original-URI: /v1/logs"}},
		{original, NotInSurface, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs/"}},
		{original, Allowed, []string{"X-Original-Method: GET", "X-Original-URI: /api/v1/annotations?tags=a,b&t=12:00"}},
		{original, Allowed, []string{"X-Original-Method: POST", "X-Original-URI: /v1/logs", "X-Forwarded-Uri: /v1/logs", "X-Forwarded-Method: POST"}},
		{forwarded, AmbiguousHeaders, []string{"X-Forwarded-Method: POST", "X-Forwarded-Uri: /v1/logs", "X_Forwarded_Uri: /admin"}},
		{forwarded, BadGatewayRequest, []string{"X-Forwarded-Method: POST", "X-Forwarded-Uri: /v1/logs?", "X-Forwarded-Uri: /admin"}},
		{forwarded, BadGatewayRequest, []string{"X-Forwarded-Method: POST", "X-Forwarded-Uri: /v1/logs", "X-Original-URL: x"}},
		{url, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URL: /v1/logs"}},
		{url, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URL: https:///v1/logs"}},
		{url, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URL: https://host"}},
		{url, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URL: https://host?/v1/logs"}},
		{url, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URL: https://host#/v1/logs"}},
		{url, BadGatewayRequest, []string{"X-Original-Method: POST", `X-Original-URL: https://host\/v1/logs`}},
		{url, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URL: https://user@host/v1/logs"}},
		{url, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URL: https://ho%73t/v1/logs"}},
		{url, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URL: https://host/v1/logs?, https://host/admin"}},
		{url, BadGatewayRequest, []string{"X-Original-Method: POST", "X-Original-URL: https://host/v1/logs", "X-Original-URI: /admin"}},
		{url, AmbiguousHeaders, []string{"X-Original-Method: POST", "X-Original-URL: https://host/v1/logs", "X_Original_URL: https://host/admin"}},
		{url, AmbiguousPath, []string{"X-Original-Method: POST", "X-Original-URL: https://host//v1/logs"}},
		{url, Allowed, []string{"X-Original-Method: POST", "X-Original-URL: http://[::1]:80/v1/logs?a=http://b/c"}},
		{url, Allowed, []string{"X-Original-Method: POST", "X-Original-URL: http://host/v1/logs", "X-Original-URI: /v1/logs"}},
		{"/auth/other", NoSuchEndpoint, nil},
		{"/auth/original/", NoSuchEndpoint, typical[original]},
		{"/auth//original", NoSuchEndpoint, typical[original]},
		{"/v1/metrics", NoSuchEndpoint, nil},
	} {
		if got := h.ask(t, test.path, append([]string{key}, test.headers...)...); got != test.want.String() {
			t.Errorf("%s with %q: %s, want %s", test.path, test.headers, got, test.want)
		}
	}
	if response, _ := exchange(t, h.gateways, raw("OPTIONS *", key)); response.StatusCode == http.StatusOK {
		t.Error("OPTIONS * is allowed")
	}
}

// Somebody has to hear of a gateway that was set up wrongly, but not at each request.
func TestBrokenContractsAreLoggedOnce(t *testing.T) {
	h := start(t, nil)
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.ScopeIngest)
	for range 5 {
		h.ask(t, "/auth/forwarded", key, "X-Forwarded-Uri: /v1/logs")
		h.ask(t, "/auth/original", "X-Original-URI: /v1/logs") // no key: nobody's business
	}
	log := h.log.String()
	if strings.Count(log, "violates the contract") != 1 || !strings.Contains(log, `"endpoint"="forwarded"`) || !strings.Contains(log, noMethod) {
		t.Errorf("%s", log)
	}
}

func TestMetricsCountDecisions(t *testing.T) {
	h := start(t, nil)
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.ScopeIngest)
	for range 3 {
		h.ask(t, "/auth/original", append([]string{key}, typical["/auth/original"]...)...)
	}
	h.ask(t, "/auth/forwarded")
	page := h.scrape(t)
	for _, want := range []string{
		`apikey_auth_decisions_total{endpoint="original",result="allowed"} 3`,
		`apikey_auth_decisions_total{endpoint="forwarded",result="missing_key"} 1`,
		`apikey_auth_decisions_total{endpoint="original_url",result="unknown_key"} 0`,
		`apikey_auth_decision_duration_seconds_count{endpoint="original"} 3`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
}

// The path of a URL that is accepted has to be where everybody else sees it.
func FuzzOriginForm(f *testing.F) {
	for _, seed := range []string{"https://host/a?b", "http://[::1]:80/", "https://h?/a", "://h/a", "https://h/../a", `https://h\@x/a`, "https://h:1/a:b@c/", "//://0/", "http://0/#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		target, ok := originForm(s)
		if !ok {
			return
		}
		if target[0] != '/' || !strings.HasSuffix(s, target) {
			t.Fatalf("%q of %q", target, s)
		}
		if _, err := surface.Judge(target); err != nil {
			return // refused, as what has a fragment is
		}
		if u, err := url.Parse(s); err == nil && u.Opaque == "" && u.Fragment == "" && u.Host != "" {
			if path, _, _ := strings.Cut(target, "?"); path != u.EscapedPath() && u.RawPath == "" && u.Path != path {
				t.Fatalf("%q of %q, but net/url says %q", path, s, u.EscapedPath())
			}
		}
	})
}
