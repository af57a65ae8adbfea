// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/session"
	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/test/issuer"
)

// bothSurface has what is for keys, what is for sessions, and what is for both.
const bothSurface = `
apiVersion: auth.hexcovery.io/v1alpha1
kind: Surface
rules:
- {name: metrics, scope: ingest, methods: [POST], paths: [/v1/metrics]}
- {name: dashboards, sessions: true, methods: [GET], paths: [/api/v1/dashboards]}
- {name: annotations, scope: annotations, sessions: true, methods: [GET], paths: [/api/v1/annotations]}
- {name: export, scope: ingest, sessions: true, grpc: [opentelemetry.proto.collector.metrics.v1.MetricsService/Export]}
- {name: echo, scope: ingest, grpc: [test.v1.Echo/Stream]}
`

// sessionHarness is a Server that accepts the sessions of an issuer.
type sessionHarness struct {
	*harness
	issuer   *issuer.Issuer
	key      *issuer.Key
	verifier *session.Verifier
}

// withSessions adds an issuer to a configuration.
func withSessions(t testing.TB, i *issuer.Issuer, c *Config) *session.Verifier {
	t.Helper()
	verifier, err := session.NewVerifier(session.Config{
		Issuer: i.URL, Audience: issuer.Audience, OrganizationClaim: session.DefaultOrganizationClaim, ClockSkew: session.DefaultClockSkew,
		Clock: clock.RealClock{}, Log: c.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	table, err := surface.Parse([]byte(bothSurface))
	if err != nil {
		t.Fatal(err)
	}
	c.Sessions, c.Surface = verifier, table
	return verifier
}

func startSessions(t testing.TB, change func(*Config)) *sessionHarness {
	t.Helper()
	s := &sessionHarness{key: issuer.NewKey(t, "ec", oidc.ES256)}
	s.issuer = issuer.Start(t, s.key)
	s.harness = start(t, func(c *Config) {
		if change != nil {
			change(c)
		}
		s.verifier = withSessions(t, s.issuer, c)
	})
	s.eventually(t, "the issuer's keys are known", func() bool {
		_, verdict := s.verifier.Verify(t.Context(), s.session(nil))
		return verdict == session.Accepted
	})
	return s
}

// session makes a token of this moment.
func (s *sessionHarness) session(changes map[string]any) string {
	return s.key.Sign(s.issuer.Claims(time.Now(), changes))
}

func (s *sessionHarness) eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: never", what)
		}
	}
}

// describes are the contracts, each with a request that a client has made.
var describes = map[string]func(method, path string) []string{
	"/auth/original": func(method, path string) []string {
		return []string{"X-Original-Method: " + method, "X-Original-URI: " + path}
	},
	"/auth/original-url": func(method, path string) []string {
		return []string{"X-Original-Method: " + method, "X-Original-URL: https://hexcovery.example" + path}
	},
	"/auth/forwarded": func(method, path string) []string {
		return []string{"X-Forwarded-Method: " + method, "X-Forwarded-Uri: " + path}
	},
}

// asked is what one contract has answered.
type asked struct {
	reason, challenge, body string
	status                  int
}

// asker asks one contract about a request.
type asker func(t testing.TB, method, path string, headers ...string) asked

// askers are all ways to ask, that of the proxy among them.
func (s *sessionHarness) askers(t testing.TB) map[string]asker {
	t.Helper()
	over := func(address string, line func(method, path string) (string, []string)) asker {
		return func(t testing.TB, method, path string, headers ...string) asked {
			t.Helper()
			request, more := line(method, path)
			response, body := exchange(t, address, raw(request, append(slices.Clone(headers), more...)...))
			got := asked{Allowed.String(), strings.Join(response.Header["Www-Authenticate"], "\n"), body, response.StatusCode}
			if response.StatusCode != http.StatusOK {
				got.reason = readReason(t, response, body)
			}
			return got
		}
	}
	all := map[string]asker{
		"proxy": over(s.proxy, func(method, path string) (string, []string) { return method + " " + path, nil }),
		"/auth/envoy": over(s.gateways, func(method, path string) (string, []string) {
			return method + " /auth/envoy" + path, nil
		}),
	}
	for endpoint, describe := range describes {
		all[endpoint] = over(s.gateways, func(method, path string) (string, []string) { return "GET " + endpoint, describe(method, path) })
	}
	client := authv3.NewAuthorizationClient(dialGRPC(t, s.server.config.GRPC.Addr().String(), insecure.NewCredentials()))
	all["gRPC"] = func(t testing.TB, method, path string, headers ...string) asked {
		t.Helper()
		response, err := client.Check(t.Context(), question(method, path, headers...))
		if err != nil {
			t.Fatal(err)
		}
		denied := response.GetDeniedResponse()
		got := asked{reason: reasonOf(t, response), body: denied.GetBody(), status: int(denied.GetStatus().GetCode())}
		for _, field := range denied.GetHeaders() {
			if field.GetHeader().GetKey() == "www-authenticate" {
				got.challenge += field.GetHeader().GetValue()
			}
		}
		if denied == nil {
			got.status = http.StatusOK
		}
		return got
	}
	return all
}

// withEverything adds each way to ask to a configuration.
func withEverything(t testing.TB, upstream string) func(*Config) {
	return func(c *Config) {
		withProxy(t, upstream)(c)
		withGRPC(t)(c)
	}
}

func TestSessionsReachWhatIsForThem(t *testing.T) {
	s := startSessions(t, withEverything(t, mirror(t, false).URL))
	askers := s.askers(t)
	key := s.registry.accept(t, v1alpha1.AllScopes()...)
	good := s.session(nil)
	expired := s.session(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})
	bearer, stranger := "Authorization: Bearer ", issuer.NewKey(t, "ec", oidc.ES256)

	for name, test := range map[string]struct {
		method, path string
		headers      []string
		want         Reason
	}{
		"session":                         {"GET", "/api/v1/dashboards", []string{bearer + good}, Allowed},
		"in lower case":                   {"GET", "/api/v1/dashboards", []string{"authorization: bearer " + good}, Allowed},
		"where keys may go, too":          {"GET", "/api/v1/annotations?limit=3", []string{bearer + good}, Allowed},
		"key, where sessions may go, too": {"GET", "/api/v1/annotations", []string{"X-API-Key: " + key}, Allowed},
		"key, where only keys may go":     {"POST", "/v1/metrics", []string{"X-API-Key: " + key}, Allowed},

		// Each in its own half.
		"session, where only keys may go":    {"POST", "/v1/metrics", []string{bearer + good}, SessionNotPermitted},
		"session, with another method":       {"DELETE", "/api/v1/dashboards", []string{bearer + good}, SessionNotPermitted},
		"session, nowhere":                   {"GET", "/api/v1/admin", []string{bearer + good}, SessionNotPermitted},
		"session, on a path with two":        {"GET", "/api/v1/x/../dashboards", []string{bearer + good}, AmbiguousPath},
		"key, where only sessions may go":    {"GET", "/api/v1/dashboards", []string{"X-API-Key: " + key}, NotInSurface},
		"key, there with another method":     {"POST", "/api/v1/dashboards", []string{"X-API-Key: " + key}, NotInSurface},
		"key, nowhere":                       {"GET", "/api/v1/admin", []string{"X-API-Key: " + key}, NotInSurface},
		"a key as a session, for sessions":   {"GET", "/api/v1/dashboards", []string{bearer + key}, WrongHeader},
		"a key as a session, for keys":       {"POST", "/v1/metrics", []string{bearer + key}, WrongHeader},
		"a session as a key":                 {"GET", "/api/v1/dashboards", []string{"X-API-Key: " + good}, MalformedKey},
		"a key in a session":                 {"GET", "/api/v1/dashboards", []string{bearer + good + "." + key}, WrongHeader},
		"a session beside a key":             {"GET", "/api/v1/annotations", []string{bearer + good, "X-API-Key: " + key}, AmbiguousCredentials},
		"a key beside a session":             {"GET", "/api/v1/annotations", []string{"X-API-Key: " + key, bearer + good}, AmbiguousCredentials},
		"a session beside an empty key":      {"GET", "/api/v1/annotations", []string{"X-API-Key: ", bearer + good}, AmbiguousCredentials},
		"a session beside a look-alike key":  {"GET", "/api/v1/annotations", []string{"X_API_Key: " + key, bearer + good}, AmbiguousCredentials},
		"two sessions":                       {"GET", "/api/v1/dashboards", []string{bearer + good, bearer + good}, AmbiguousCredentials},
		"two, joined":                        {"GET", "/api/v1/dashboards", []string{bearer + good + ", Bearer " + good}, AmbiguousCredentials},
		"a password":                         {"GET", "/api/v1/dashboards", []string{"Authorization: Basic dTpw"}, WrongHeader},
		"a session in a cookie":              {"GET", "/api/v1/dashboards", []string{"Cookie: session=" + good}, MissingKey},
		"nothing":                            {"GET", "/api/v1/dashboards", nil, MissingKey},
		"no token":                           {"GET", "/api/v1/dashboards", []string{bearer}, InvalidSession},
		"a word":                             {"GET", "/api/v1/dashboards", []string{bearer + "word"}, InvalidSession},
		"quoted":                             {"GET", "/api/v1/dashboards", []string{bearer + `"` + good + `"`}, InvalidSession},
		"a session that was cut off":         {"GET", "/api/v1/dashboards", []string{bearer + good[:len(good)-20]}, InvalidSession},
		"signed by somebody else":            {"GET", "/api/v1/dashboards", []string{bearer + stranger.Sign(s.issuer.Claims(time.Now(), nil))}, InvalidSession},
		"too long":                           {"GET", "/api/v1/dashboards", []string{bearer + good + strings.Repeat("A", session.MaxTokenBytes)}, InvalidSession},
		"another audience":                   {"GET", "/api/v1/dashboards", []string{bearer + s.session(map[string]any{"aud": "other"})}, InvalidSession},
		"another issuer":                     {"GET", "/api/v1/dashboards", []string{bearer + s.session(map[string]any{"iss": "https://other"})}, InvalidSession},
		"not yet":                            {"GET", "/api/v1/dashboards", []string{bearer + s.session(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()})}, InvalidSession},
		"no organization":                    {"GET", "/api/v1/dashboards", []string{bearer + s.session(map[string]any{"organization": nil})}, InvalidSession},
		"two organizations":                  {"GET", "/api/v1/dashboards", []string{bearer + s.session(map[string]any{"organization": "a|b"})}, InvalidSession},
		"expired":                            {"GET", "/api/v1/dashboards", []string{bearer + expired}, ExpiredSession},
		"expired, on a path with two":        {"GET", "/api/v1/x/../dashboards", []string{bearer + expired}, ExpiredSession},
		"expired, where only keys may go":    {"POST", "/v1/metrics", []string{bearer + expired}, ExpiredSession},
		"signed by somebody else, elsewhere": {"GET", "/nowhere", []string{bearer + stranger.Sign(s.issuer.Claims(time.Now(), nil))}, InvalidSession},
	} {
		for contract, ask := range askers {
			got := ask(t, test.method, test.path, test.headers...)
			if got.reason != test.want.String() || got.status != test.want.Status() {
				t.Errorf("%s, %s: %d %s, want %s", contract, name, got.status, got.reason, test.want)
			}
			want := ""
			switch {
			case test.want == InvalidSession || test.want == ExpiredSession:
				want = `Bearer realm="hexcovery", error="invalid_token", ApiKey realm="hexcovery", header="X-API-Key"`
			case test.want.Status() == http.StatusUnauthorized:
				want = `ApiKey realm="hexcovery", header="X-API-Key"`
			}
			if got.challenge != want {
				t.Errorf("%s, %s: challenge %q, want %q", contract, name, got.challenge, want)
			}
			if test.want == WrongHeader && !strings.Contains(got.body, "Send the key in the X-API-Key header") {
				t.Errorf("%s, %s: %s", contract, name, got.body)
			}
		}
	}
}

// Gateways copy the identity headers over what a client sent, so none may be left out.
func TestSessionsHaveAWholeIdentity(t *testing.T) {
	s := startSessions(t, withGRPC(t))
	token := s.session(map[string]any{"organization": "globex-7"})
	evil := []string{"Authorization: Bearer " + token, "X-Scope-OrgID: evil", "X-API-Key-ID: evil", "X-API-Key-Name: evil"}
	requests := map[string]string{"/auth/envoy": raw("GET /auth/envoy/api/v1/dashboards", evil...)}
	for endpoint, describe := range describes {
		requests[endpoint] = raw("GET "+endpoint, append(slices.Clone(evil), describe("GET", "/api/v1/dashboards")...)...)
	}
	want := map[string]string{"X-Scope-Orgid": "globex-7", "X-Api-Key-Id": "session", "X-Api-Key-Name": "session"}
	for endpoint, request := range requests {
		response, body := exchange(t, s.gateways, request)
		got := response.Header
		if response.StatusCode != http.StatusOK || body != "" || got.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d %q", endpoint, response.StatusCode, body)
		}
		for name, want := range want {
			if len(got[name]) != 1 || got[name][0] != want {
				t.Errorf("%s: %s is %q, want %q", endpoint, name, got[name], want)
			}
		}
		if removed := got.Get(envoyRemoveHeader); strings.Contains(strings.ToLower(removed), "authorization") {
			t.Errorf("%s: the upstream does not get the session: %s", endpoint, removed)
		}
	}

	client := authv3.NewAuthorizationClient(dialGRPC(t, s.server.config.GRPC.Addr().String(), insecure.NewCredentials()))
	response, err := client.Check(t.Context(), question("GET", "/api/v1/dashboards", evil...))
	if err != nil || reasonOf(t, response) != Allowed.String() {
		t.Fatalf("%v, %v", response, err)
	}
	answer := http.Header{}
	for _, field := range response.GetOkResponse().GetHeaders() {
		answer.Add(field.GetHeader().GetKey(), field.GetHeader().GetValue())
	}
	for name, want := range want {
		if strings.Join(answer[name], ";") != want {
			t.Errorf("gRPC: %s is %q, want %q", name, answer[name], want)
		}
	}
	if slices.Contains(response.GetOkResponse().GetHeadersToRemove(), "authorization") {
		t.Error("gRPC: the upstream does not get the session")
	}
}

// The upstream gets the session, and who it is for from nobody but the issuer.
func TestProxyForwardsSessions(t *testing.T) {
	s := startSessions(t, withProxy(t, mirror(t, false).URL))
	key := s.registry.accept(t, v1alpha1.AllScopes()...)
	token := s.session(nil)
	got := s.through(t, raw("GET /api/v1/dashboards", "Authorization: Bearer "+token, "X-Scope-OrgID: evil", "X-API-Key-ID: evil", "x_api_key_name: evil", "X-API-Key-Name: evil", "Cookie: a=b"))
	for name, want := range map[string]string{"X-Scope-Orgid": "acme", "X-Api-Key-Id": "session", "X-Api-Key-Name": "session", "Authorization": "Bearer " + token} {
		if strings.Join(got.Header[name], ";") != want {
			t.Errorf("%s is %q, want %q", name, got.Header[name], want)
		}
	}
	for name := range got.Header {
		if folded(name) == "cookie" || name != keyNameHeader && folded(name) == folded(keyNameHeader) {
			t.Errorf("the upstream received %s", name)
		}
	}
	if got := s.through(t, raw("GET /api/v1/annotations", "X-API-Key: "+key)); got.Header["Authorization"] != nil || got.Header.Get(keyNameHeader) != "team-a/prod-agent" {
		t.Errorf("%v", got.Header)
	}
	// What another protocol would carry, nobody has judged.
	response, body := exchange(t, s.proxy, raw("GET /api/v1/dashboards", "Authorization: Bearer "+token, "Upgrade: websocket", "Connection: Upgrade"))
	if reason := readReason(t, response, body); reason != UpgradeRefused.String() {
		t.Errorf("an upgrade: %s", reason)
	}
}

func TestSessionsOverGRPC(t *testing.T) {
	address, seen := collector(t)
	s := startSessions(t, withProxy(t, "http://"+address))
	conn := dial(t, s.proxy, nil)
	good, key := s.session(nil), s.registry.accept(t, v1alpha1.ScopeIngest)

	got, err := call(t.Context(), conn, export, "metrics", "authorization", "Bearer "+good, "x-scope-orgid", "evil", "x-api-key-id", "evil")
	if err != nil || got != "METRICS" {
		t.Fatalf("%q, %v", got, err)
	}
	md := <-seen
	for name, want := range map[string]string{"x-scope-orgid": "acme", "x-api-key-id": "session", "x-api-key-name": "session", "authorization": "Bearer " + good} {
		if strings.Join(md[name], ";") != want {
			t.Errorf("%s is %q, want %q", name, md[name], want)
		}
	}
	for name, test := range map[string]struct {
		method   string
		metadata []string
		code     codes.Code
		message  string
	}{
		"where only keys may go": {"/test.v1.Echo/Stream", []string{"authorization", "Bearer " + good}, codes.PermissionDenied, "(session_not_permitted)"},
		"beside a key":           {export, []string{"authorization", "Bearer " + good, "x-api-key", key}, codes.Unauthenticated, "(ambiguous_credentials)"},
		"twice":                  {export, []string{"authorization", "Bearer " + good, "authorization", "Bearer " + good}, codes.Unauthenticated, "(ambiguous_credentials)"},
		"a key":                  {export, []string{"authorization", "Bearer " + key}, codes.Unauthenticated, "Send the key in the X-API-Key header. (wrong_header)"},
		"expired":                {export, []string{"authorization", "Bearer " + s.session(map[string]any{"exp": 1})}, codes.Unauthenticated, "(expired_session)"},
		"another audience":       {export, []string{"authorization", "Bearer " + s.session(map[string]any{"aud": "x"})}, codes.Unauthenticated, "its audience is not the one"},
	} {
		_, err := call(t.Context(), conn, test.method, "metrics", test.metadata...)
		if got := status.Convert(err); got.Code() != test.code || !strings.Contains(got.Message(), test.message) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Keys do not depend on the issuer: not their answers, and not the readiness.
func TestIssuerIsDown(t *testing.T) {
	signing := issuer.NewKey(t, "ec", oidc.ES256)
	i := issuer.Prepare(t, signing)
	h := start(t, func(c *Config) {
		withEverything(t, mirror(t, false).URL)(c)
		withSessions(t, i, c)
	})
	s := &sessionHarness{harness: h, issuer: i, key: signing}
	key := s.registry.accept(t, v1alpha1.AllScopes()...)
	for contract, ask := range s.askers(t) {
		got := ask(t, "GET", "/api/v1/dashboards", "Authorization: Bearer "+s.session(nil))
		if got.status != http.StatusServiceUnavailable || got.reason != Undecided.String() || !strings.Contains(got.body, "session") {
			t.Errorf("%s: %+v", contract, got)
		}
		if got := ask(t, "POST", "/v1/metrics", "X-API-Key: "+key); got.status != http.StatusOK {
			t.Errorf("%s, with a key: %+v", contract, got)
		}
	}
	if response, body := exchange(t, h.operations, raw("GET /readyz")); response.StatusCode != http.StatusOK {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	i.Serve(t)
	s.eventually(t, "sessions are accepted", func() bool {
		headers := append([]string{"Authorization: Bearer " + s.session(nil)}, describes["/auth/original"]("GET", "/api/v1/dashboards")...)
		response, _ := exchange(t, h.gateways, raw("GET /auth/original", headers...))
		return response.StatusCode == http.StatusOK
	})
}

func TestWithoutAnIssuerNoSessionIsAccepted(t *testing.T) {
	h := start(t, func(c *Config) {
		var err error
		if c.Surface, err = surface.Parse([]byte(bothSurface)); err != nil {
			t.Fatal(err)
		}
	})
	for endpoint, describe := range describes {
		for _, token := range []string{"ey.ey.sig", "", "ey,ey", `"ey"`} {
			if got := h.ask(t, endpoint, append([]string{"Authorization: Bearer " + token}, describe("GET", "/api/v1/dashboards")...)...); got != SessionsNotAccepted.String() {
				t.Errorf("%s, %q: %s", endpoint, token, got)
			}
		}
	}
}

// fakeSessions says what it is told, of every token.
type fakeSessions struct {
	session session.Session
	verdict session.Verdict
}

func (f fakeSessions) Verify(context.Context, string) (session.Session, session.Verdict) {
	return f.session, f.verdict
}

func (f fakeSessions) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// A verdict that is not known, an organization that is none: nothing of it allows.
func TestSessionsFailClosed(t *testing.T) {
	table, err := surface.Parse([]byte(bothSurface))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(f fakeSessions) decision {
		d := &decider{authenticator: newFakeRegistry(), surface: table, sessions: f}
		return d.decide(t.Context(), http.Header{"Authorization": {"Bearer eyJ.e.s"}}, &requestAttributes{method: "GET", target: "/api/v1/dashboards", refusal: Allowed})
	}
	good := session.Session{Organization: "acme"}
	if got := ask(fakeSessions{good, session.Accepted}); got.reason != Allowed {
		t.Fatalf("%v", got)
	}
	for verdict := range session.Verdict(255) {
		got := ask(fakeSessions{good, verdict})
		if verdict != session.Accepted && (got.reason == Allowed || got.grant.Organization != "") {
			t.Errorf("%v: %v", verdict, got.reason)
		}
		if status := got.reason.Status(); verdict != session.Accepted && (status == http.StatusServiceUnavailable) != (verdict.String() == "undecided") {
			t.Errorf("%v is told with %d", verdict, status)
		}
	}
	for _, organization := range []string{"", "a|b", "a b", "a\r\nb", "ä"} {
		if got := ask(fakeSessions{session.Session{Organization: organization}, session.Accepted}); got.reason != Undecided {
			t.Errorf("organization %q: %v", organization, got.reason)
		}
	}
}

// Whatever is wrong with it, nothing of a session is found in answers, logs or metrics.
func TestSessionsStaySecret(t *testing.T) {
	s := startSessions(t, withProxy(t, "http://"+closedAddress(t)))
	stranger := issuer.NewKey(t, "nobodys-key", oidc.ES256)
	tokens := []string{
		s.session(nil), s.session(map[string]any{"exp": 1}), s.session(map[string]any{"aud": "other"}), s.session(map[string]any{"iss": "other"}),
		s.session(map[string]any{"organization": "evil|evil"}), stranger.Sign(s.issuer.Claims(time.Now(), nil)), "word-of-a-session",
	}
	var answers strings.Builder
	send := func(address, request string) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&answers, conn); err != nil {
			t.Fatal(err)
		}
	}
	for _, token := range tokens {
		for _, place := range []string{
			"Authorization: Bearer %s", "Authorization: %s", "Authorization: Bearer %[1]s,%[1]s", "Authorization: Bearer %s\r\nX-API-Key: %[1]s", "X-API-Key: %s",
			"Authorization: Bearer %s\r\nX-Original-Method: %[1]s\r\nX-Original-URI: /%[1]s", "Authorization: Bearer %s\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /%[1]s",
			"Authorization: Bearer %s\r\nX-Original-Method: GET\r\nX-Original-URI: /api/v1/dashboards?%[1]s", "Authorization: Bearer %s\r\nUpgrade: %[1]s\r\nConnection: Upgrade",
		} {
			for _, line := range []string{"GET /auth/original", "GET /auth/original-url", "GET /auth/forwarded?" + token, "GET /api/v1/dashboards?" + token, "GET /" + token} {
				send(s.gateways, raw(line, fmt.Sprintf(place, token)))
				send(s.proxy, raw(line, fmt.Sprintf(place, token)))
			}
		}
	}
	for _, status := range []string{"200", "401", "403", "404", "502"} {
		if !strings.Contains(answers.String(), "HTTP/1.1 "+status) {
			t.Errorf("nothing was answered with %s", status)
		}
	}
	for what, text := range map[string]string{"answers": answers.String(), "log": s.log.String(), "metrics": s.scrape(t)} {
		for _, token := range tokens {
			for _, part := range append(strings.Split(token, "."), "evil", "nobodys-key") {
				if strings.Contains(text, part) {
					t.Errorf("the %s hold %q, which is a part of a session", what, part)
				}
			}
		}
	}
}
