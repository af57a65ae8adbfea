// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

// received is what reached the upstream.
type received struct {
	Proto, Method, Target, Host, Body string
	Header, Trailer                   http.Header
}

// mirror is an upstream that answers with what it received. It speaks HTTP/1.1 and
// HTTP/2, with TLS or without.
func mirror(t testing.TB, secure bool) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_ = json.NewEncoder(w).Encode(received{r.Proto, r.Method, r.RequestURI, r.Host, string(body), r.Header, r.Trailer})
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetHTTP2(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	if secure {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// through sends a raw request through the proxy and returns what the upstream received.
func (h *harness) through(t testing.TB, request string) received {
	t.Helper()
	response, body := exchange(t, h.proxy, request)
	var got received
	if err := json.Unmarshal([]byte(body), &got); err != nil || response.StatusCode != http.StatusOK || got.Proto == "" {
		t.Fatalf("%q: %d %s", request, response.StatusCode, body)
	}
	if response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%q: Cache-Control %q would let a cache answer in place of the key", request, response.Header["Cache-Control"])
	}
	return got
}

func TestProxyForwardsWhatWasJudged(t *testing.T) {
	h := start(t, withProxy(t, mirror(t, false).URL))
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.AllScopes()...)
	for _, target := range []string{
		"/api/v1/annotations/a", "/api/v1/annotations/a%20b", "/api/v1/annotations/deploy%3Amyapp", "/api/v1/annotations/deploy:myapp", "/api/v1/annotations/a%3ab",
		"/api/v1/annotations/!$&'()*+,=@", "/api/v1/annotations/%5Ba%5D%7C", "/api/v1/annotations/..a",
		"/api/v1/annotations?", "/api/v1/annotations?a=1&b=/../%2f", "/api/v1/annotations?q=50%&x;y", "/api/v1/annotations?a?b",
	} {
		got := h.through(t, raw("GET "+target, key))
		if got.Target != target || got.Method != "GET" || got.Header.Get(DefaultOrganizationHeader) != "acme" {
			t.Errorf("%s reached the upstream as %s %s of %v", target, got.Method, got.Target, got.Header)
		}
	}
	for _, target := range []string{
		"/api/v1/annotations/..", "/api/v1/annotations//a", "/api/v1/annotations/%2e%2e", "/api/v1/annotations/a%2Fb", "/api/v1/annotations/a;b", `/api/v1/annotations/a\b`,
		"/api/v1/annotations/%61", "/v1/%6detrics", "//api/v1/annotations", "http://hexcovery/api/v1/annotations", "/api/v1/annotations#a", "/api/v1/annotations/%C3%BC",
	} {
		response, body := exchange(t, h.proxy, raw("GET "+target, key))
		if response.StatusCode == http.StatusBadRequest {
			continue // net/http would not read it
		}
		if got := readReason(t, response, body); got != AmbiguousPath.String() {
			t.Errorf("%s: %s", target, got)
		}
	}
}

func TestProxyRefusals(t *testing.T) {
	h := start(t, withProxy(t, mirror(t, false).URL))
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.ScopeIngest)
	unknown, _ := mint(t)
	for _, test := range []struct {
		line    string
		headers []string
		want    Reason
	}{
		{"POST /v1/metrics", nil, MissingKey},
		{"POST /v1/metrics", []string{"X-API-Key: " + unknown}, UnknownKey},
		{"POST /v1/metrics", []string{"X-API-Key: " + h.registry.judged(t, registry.Undecided)}, Undecided},
		{"POST /v1/metrics", []string{key, "Authorization: Bearer ey"}, AmbiguousCredentials},
		{"POST /v1/metrics", []string{key, "X_API_KEY: " + unknown}, AmbiguousCredentials},
		{"POST /api/v1/dsl", []string{key}, ScopeMissing},
		{"POST /api/v1/sql", []string{key}, NotInSurface},
		{"GET /v1/metrics", []string{key}, MethodNotAllowed},
		{"TRACE /v1/metrics", []string{key}, MethodNotAllowed},
		{"CONNECT hexcovery:443", []string{key}, AmbiguousPath},
		{"CONNECT /v1/metrics", []string{key}, MethodNotAllowed},
		{"OPTIONS *", []string{key}, AmbiguousPath},
		{"OPTIONS *", nil, MissingKey},
		{"POST /v1/metrics", []string{key, "Connection: Upgrade", "Upgrade: websocket"}, UpgradeRefused},
		{"POST /v1/metrics", []string{key, "Upgrade: h2c, websocket"}, UpgradeRefused},
		{"POST /v1/metrics", []string{"Connection: Upgrade", "Upgrade: websocket"}, MissingKey},
		// The headers of gateways mean nothing here.
		{"POST /api/v1/sql", []string{key, "X-Original-Method: POST", "X-Original-URI: /v1/metrics", "X-Forwarded-Method: POST", "X-Forwarded-Uri: /v1/metrics"}, NotInSurface},
		{"GET /auth/original", []string{key, "X-Original-Method: POST", "X-Original-URI: /v1/metrics"}, NotInSurface},
	} {
		response, body := exchange(t, h.proxy, raw(test.line, test.headers...))
		if got := readReason(t, response, body); got != test.want.String() {
			t.Errorf("%s with %q: %s, want %s", test.line, test.headers, got, test.want)
		}
	}
}

// smuggled are headers by which a client could tell the upstream what only the
// auth server, or nobody, may tell it.
var smuggled = []string{
	"X-Scope-OrgID", "x-scope-orgid", "X_Scope_OrgID", "X.Scope.OrgID", "X-Scope_OrgID", "X~Scope!OrgID",
	"X-API-Key-ID", "X_API_Key_ID", "X-Api-Key.Id", "X-API-Key-Name", "X_API_KEY_NAME",
	"X-Forwarded-For", "X_Forwarded_For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-User",
	"Forwarded", "X-Real-IP", "X_Real_IP", "True-Client-IP", "X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Rewrite-URL", "X_Rewrite_URL",
	"Proxy", "Proxy-Authorization", "Proxy-Connection", "Keep-Alive", "Cookie", "Te",
	"Content_Length", "Transfer_Encoding", "Transfer.Encoding",
}

const smuggledValue = "hexcovery-evil"

func checkNothingSmuggled(t *testing.T, got http.Header) {
	t.Helper()
	for name, values := range got {
		if strings.Contains(strings.Join(values, " "), smuggledValue) {
			t.Errorf("the upstream received %s: %q", name, values)
		}
	}
	if !slices.Equal(got["X-Scope-Orgid"], []string{"acme"}) || !slices.Equal(got[keyNameHeader], []string{"team-a/prod-agent"}) || len(got[keyIDHeader]) != 1 {
		t.Errorf("the upstream received the identity %v", got)
	}
	for name := range got {
		if sameFolded(name, keyHeader) {
			t.Errorf("the upstream received %s", name)
		}
	}
}

func TestProxyLetsNoClientSpeakForIt(t *testing.T) {
	for _, scheme := range []string{"http", "h2c"} {
		t.Run(scheme, func(t *testing.T) {
			h := start(t, withProxy(t, strings.Replace(mirror(t, false).URL, "http", scheme, 1)))
			key := h.registry.accept(t, v1alpha1.AllScopes()...)

			headers := []string{"X-API-Key: " + key, "X-Harmless: kept", "User-Agent: agent/1"}
			for _, name := range smuggled {
				headers = append(headers, name+": "+smuggledValue)
			}
			got := h.through(t, raw("GET /api/v1/annotations", headers...))
			checkNothingSmuggled(t, got.Header)
			if got.Header.Get("X-Harmless") != "kept" || got.Header.Get("User-Agent") != "agent/1" || got.Header.Get("X-Forwarded-For") != "127.0.0.1" {
				t.Errorf("%v", got.Header)
			}

			// Named as hop-by-hop, so that a proxy would drop the header that it set itself.
			got = h.through(t, raw("GET /api/v1/annotations", "X-API-Key: "+key, "X-Scope-OrgID: "+smuggledValue,
				"Connection: X-Scope-OrgID, X-API-Key-ID, X-API-Key-Name, X-API-Key"))
			checkNothingSmuggled(t, got.Header)

			// In a trailer.
			got = h.through(t, raw("POST /v1/logs", "X-API-Key: "+key, "Transfer-Encoding: chunked", "Trailer: X-Scope-OrgID, X-Other")+
				"3\r\nabc\r\n0\r\nX-Scope-OrgID: "+smuggledValue+"\r\nX-Other: "+smuggledValue+"\r\n\r\n")
			checkNothingSmuggled(t, got.Header)
			if len(got.Trailer) != 0 || got.Body != "abc" {
				t.Errorf("%q with trailers %v", got.Body, got.Trailer)
			}

			// Over HTTP/2.
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.proxy+"/api/v1/annotations", nil)
			for _, name := range smuggled {
				if !slices.Contains([]string{"Proxy-Connection", "Keep-Alive", "Te"}, name) { // no HTTP/2 client sends these
					request.Header[strings.ToLower(name)] = []string{smuggledValue}
				}
			}
			request.Header.Set("X-API-Key", key)
			response, err := h2cClient(t).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if err := json.NewDecoder(response.Body).Decode(&got); err != nil || response.ProtoMajor != 2 {
				t.Fatal(err, response.Proto)
			}
			checkNothingSmuggled(t, got.Header)
		})
	}
}

// A client that asks for another method has to hear that it does not get it; one that
// repeats its own gets through, and the upstream sees nothing of it.
func TestProxyRefusesAnotherMethodInAHeader(t *testing.T) {
	h := start(t, withProxy(t, mirror(t, false).URL))
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.AllScopes()...)
	for _, name := range []string{"X-HTTP-Method-Override", "X_HTTP_Method_Override", "x-http-method", "X-Method-Override", "X-Method.Override"} {
		response, body := exchange(t, h.proxy, raw("GET /api/v1/annotations", key, name+": DELETE"))
		if got := readReason(t, response, body); got != MethodOverridden.String() {
			t.Errorf("%s: %s", name, got)
		}
		got := h.through(t, raw("GET /api/v1/annotations", key, name+": GET"))
		for sent := range got.Header {
			if sameFolded(sent, name) {
				t.Errorf("the upstream received %s", sent)
			}
		}
	}
}

func TestProxyIgnoresAnOfferOfH2C(t *testing.T) {
	h := start(t, withProxy(t, mirror(t, false).URL))
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.ScopeIngest)
	got := h.through(t, raw("POST /v1/metrics", key, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"))
	for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
		if got.Header[name] != nil {
			t.Errorf("the upstream received %s: %q", name, got.Header[name])
		}
	}
}

func TestProxySpeaksTheUpstreamsProtocol(t *testing.T) {
	for _, test := range []struct {
		scheme string
		secure bool
		proto  string
	}{{"http", false, "HTTP/1.1"}, {"h2c", false, "HTTP/2.0"}, {"https", true, "HTTP/2.0"}} {
		upstream := mirror(t, test.secure)
		h := start(t, func(c *Config) {
			withProxy(t, test.scheme+"://"+upstream.Listener.Addr().String())(c)
			if test.secure {
				c.UpstreamRoots = rootsOf(t, upstream)
			}
		})
		body := strings.Repeat("x", 100_000)
		got := h.through(t, raw("POST /v1/metrics", "X-API-Key: "+h.registry.accept(t, v1alpha1.ScopeIngest), fmt.Sprint("Content-Length: ", len(body)))+body)
		if got.Proto != test.proto || got.Body != body || got.Host != upstream.Listener.Addr().String() {
			t.Errorf("%s: the upstream received %s for %q, %d bytes", test.scheme, got.Proto, got.Host, len(got.Body))
		}
	}
}

// rootsOf are the roots to trust a test server by.
func rootsOf(t testing.TB, server *httptest.Server) *x509.CertPool {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	roots, err := LoadRoots(file)
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

func TestProxyStreamsBothWays(t *testing.T) {
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		buffer := make([]byte, 64)
		for {
			n, err := r.Body.Read(buffer)
			if n > 0 {
				_, _ = w.Write(bytes.ToUpper(buffer[:n]))
				_ = http.NewResponseController(w).Flush()
			}
			if err != nil {
				break
			}
		}
		w.Header().Set("X-Announced", "yes")
		w.Header().Set(http.TrailerPrefix+"X-Sudden", "yes")
	}))
	upstream.Config.Protocols = new(http.Protocols)
	upstream.Config.Protocols.SetUnencryptedHTTP2(true)
	upstream.Start()
	t.Cleanup(upstream.Close)

	h := start(t, withProxy(t, "h2c://"+upstream.Listener.Addr().String()))
	reader, writer := io.Pipe()
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+h.proxy+"/v1/traces", reader)
	request.Header.Set("X-API-Key", h.registry.accept(t, v1alpha1.ScopeIngest))
	// The response begins before the request has ended.
	go func() { _, _ = io.WriteString(writer, "first") }()
	response, err := h2cClient(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for i, part := range []string{"first", "second", "third"} {
		if i > 0 {
			if _, err := io.WriteString(writer, part); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, len(part))
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != strings.ToUpper(part) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	writer.Close()
	if rest, err := io.ReadAll(response.Body); err != nil || len(rest) != 0 {
		t.Fatalf("%q, %v", rest, err)
	}
	if response.Trailer.Get("X-Announced") != "yes" || response.Trailer.Get("X-Sudden") != "yes" {
		t.Errorf("trailers %v", response.Trailer)
	}
}

func TestProxyReportsAnUpstreamThatIsGone(t *testing.T) {
	h := start(t, withProxy(t, "http://"+closedAddress(t)))
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.ScopeIngest)
	for range 3 {
		response, body := exchange(t, h.proxy, raw("POST /v1/metrics", key))
		if got := readReason(t, response, body); got != UpstreamUnavailable.String() || response.StatusCode != http.StatusBadGateway {
			t.Errorf("%d %s", response.StatusCode, got)
		}
	}
	if log := h.log.String(); strings.Count(log, "upstream failed") != 1 {
		t.Errorf("%s", log)
	}
	if page := h.scrape(t); !strings.Contains(page, `apikey_auth_decisions_total{endpoint="proxy",result="allowed"} 3`) {
		t.Error("not counted")
	}
}

func TestParseUpstream(t *testing.T) {
	for s, want := range map[string]string{
		"http://a": "http://a", "https://a:8443/": "https://a:8443", "h2c://[::1]:80": "h2c://[::1]:80",
		"": "", "a:80": "", "ftp://a": "", "http://": "", "http://:80": "", "http://a/prefix": "", "http://a?b": "", "http://a?": "", "http://a#b": "", "http://u:p@a": "", "http://a b": "",
	} {
		u, err := ParseUpstream(s)
		if (err == nil) != (want != "") || err == nil && u.String() != want {
			t.Errorf("ParseUpstream(%q) = %v, %v", s, u, err)
		}
	}
	if _, err := ParseUpstream("http://user:secret@host"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

func TestOrganizationHeaderMustNotMeanSomethingElse(t *testing.T) {
	for name, ok := range map[string]bool{
		"X-Scope-OrgID": true, "X-Tenant": true, "": false, "X Tenant": false, "X-API-Key": false, "x_api_key": false, "X-API-Key-ID": false, "Authorization": false,
		"X-Original-URI": false, "X-Forwarded-Uri": false, "X-HTTP-Method-Override": false, "Connection": false, "Host": false,
	} {
		if _, err := newIdentity(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
