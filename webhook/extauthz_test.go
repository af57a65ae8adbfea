// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/surface"
)

// withGRPC adds Envoy's gRPC service to a configuration.
func withGRPC(t testing.TB) func(*Config) {
	return func(c *Config) { c.GRPC = listen(t) }
}

func dialGRPC(t testing.TB, address string, transport credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

// question is a CheckRequest as Envoy makes it: the pseudo-headers are among the
// headers, names are in lower case, and values of one name joined by commas.
func question(method, path string, headers ...string) *authv3.CheckRequest {
	fields := map[string]string{":method": method, ":path": path, ":authority": "hexcovery.example", ":scheme": "https"}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if before, ok := fields[name]; ok {
			value = before + "," + value
		}
		fields[name] = value
	}
	return checkRequest(&authv3.AttributeContext_HttpRequest{
		Id: "1", Method: method, Path: path, Host: "hexcovery.example", Scheme: "https", Protocol: "HTTP/1.1", Size: -1, Headers: fields,
	})
}

// rawQuestion is the same with encode_raw_headers.
func rawQuestion(method, path string, headers ...string) *authv3.CheckRequest {
	fields := &corev3.HeaderMap{}
	for _, header := range append([]string{":method: " + method, ":path: " + path}, headers...) {
		name, value, _ := strings.Cut(header[1:], ": ")
		fields.Headers = append(fields.Headers, &corev3.HeaderValue{Key: header[:1] + name, RawValue: []byte(value)})
	}
	return checkRequest(&authv3.AttributeContext_HttpRequest{Method: method, Path: path, HeaderMap: fields})
}

func checkRequest(attributes *authv3.AttributeContext_HttpRequest) *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: attributes}}}
}

// reasonOf reads an answer as Envoy does, and checks that it is a whole one.
func reasonOf(t testing.TB, response *authv3.CheckResponse) string {
	t.Helper()
	if response.GetStatus() == nil {
		t.Fatal("an answer without a status: Envoy takes it for a yes")
	}
	fields := response.GetDynamicMetadata().GetFields()
	if response.GetStatus().GetCode() == int32(codes.OK) {
		if response.GetOkResponse() == nil || len(fields) != 3 {
			t.Fatalf("a yes without an identity: %v", response)
		}
		return Allowed.String()
	}
	denied := response.GetDeniedResponse()
	if denied == nil || denied.GetStatus().GetCode() < 400 || response.GetErrorResponse() != nil {
		t.Fatalf("a no that leaves the answer to the gateway: %v", response)
	}
	for _, field := range denied.GetHeaders() {
		if field.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD || field.GetAppend() != nil { //nolint:staticcheck // It is deprecated, and Envoy goes by it all the same.
			t.Errorf("%s is appended", field.GetHeader().GetKey())
		}
	}
	return fields[metadataReason].GetStringValue()
}

func TestCheckAllowsWithTheWholeIdentity(t *testing.T) {
	h := start(t, withGRPC(t))
	client := authv3.NewAuthorizationClient(dialGRPC(t, h.server.config.GRPC.Addr().String(), insecure.NewCredentials()))
	key := "x-api-key: " + h.registry.accept(t, v1alpha1.AllScopes()...)
	for _, ask := range []func(string, string, ...string) *authv3.CheckRequest{question, rawQuestion} {
		response, err := client.Check(t.Context(), ask("POST", "/v1/metrics?a=b", key, "x-scope-orgid: evil", "x-api-key-id: evil", "cookie: a=b", "x_rewrite_url: /admin"))
		if err != nil {
			t.Fatal(err)
		}
		if got := reasonOf(t, response); got != Allowed.String() {
			t.Fatalf("%s: %v", got, response)
		}
		set := map[string]string{}
		for _, field := range response.GetOkResponse().GetHeaders() {
			if field.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD || field.GetAppend() != nil { //nolint:staticcheck // It is deprecated, and Envoy goes by it all the same.
				t.Errorf("%s is appended to what the client sent", field.GetHeader().GetKey())
			}
			set[field.GetHeader().GetKey()] = field.GetHeader().GetValue()
		}
		metadata := response.GetDynamicMetadata().GetFields()
		if len(set) != 3 || set["x-scope-orgid"] != "acme" || set["x-api-key-name"] != "team-a/prod-agent" || len(set["x-api-key-id"]) != 12 ||
			metadata["organization"].GetStringValue() != "acme" || metadata["key_id"].GetStringValue() != set["x-api-key-id"] || metadata["key_name"].GetStringValue() != "team-a/prod-agent" {
			t.Errorf("set %v, metadata %v", set, metadata)
		}
		for _, name := range []string{"x-api-key", "cookie", "x-rewrite-url", "x_rewrite_url", "x-http-method-override"} {
			if !slices.Contains(response.GetOkResponse().GetHeadersToRemove(), name) {
				t.Errorf("%s is not removed: %v", name, response.GetOkResponse().GetHeadersToRemove())
			}
		}
		for name := range set {
			if slices.Contains(response.GetOkResponse().GetHeadersToRemove(), name) {
				t.Errorf("%s is set and removed", name)
			}
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	h := start(t, withGRPC(t))
	client := authv3.NewAuthorizationClient(dialGRPC(t, h.server.config.GRPC.Addr().String(), insecure.NewCredentials()))
	good := h.registry.accept(t, v1alpha1.ScopeIngest)
	unknown, _ := mint(t)
	key := "x-api-key: " + good
	for name, test := range map[string]struct {
		request *authv3.CheckRequest
		want    Reason
	}{
		"nothing":               {&authv3.CheckRequest{}, MissingKey},
		"no HTTP request":       {&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{}}}, MissingKey},
		"OTLP over gRPC":        {question("POST", export, key, "content-type: application/grpc"), Allowed},
		"no key":                {question("POST", "/v1/metrics"), MissingKey},
		"key twice":             {question("POST", "/v1/metrics", key, key), AmbiguousCredentials},
		"key twice, raw":        {rawQuestion("POST", "/v1/metrics", key, "x-api-key: "+unknown), AmbiguousCredentials},
		"key in two cases":      {rawQuestion("POST", "/v1/metrics", key, "X-API-Key: "+unknown), AmbiguousCredentials},
		"key in both forms":     {both(question("POST", "/v1/metrics", key), rawQuestion("POST", "/v1/metrics", "x-api-key: "+unknown)), AmbiguousCredentials},
		"look-alike":            {question("POST", "/v1/metrics", key, "x_api_key: "+good), AmbiguousCredentials},
		"session":               {question("POST", "/v1/metrics", "authorization: Bearer ey"), SessionsNotAccepted},
		"key as a session":      {question("POST", "/v1/metrics", "authorization: Bearer "+good), WrongHeader},
		"unknown":               {question("POST", "/v1/metrics", "x-api-key: "+unknown), UnknownKey},
		"expired":               {question("POST", "/v1/metrics", "x-api-key: "+h.registry.judged(t, registry.Expired)), ExpiredKey},
		"undecided":             {question("POST", "/v1/metrics", "x-api-key: "+h.registry.judged(t, registry.Undecided)), Undecided},
		"scope":                 {question("POST", "/api/v1/dsl", key), ScopeMissing},
		"method":                {question("GET", "/v1/metrics", key), MethodNotAllowed},
		"surface":               {question("POST", "/api/v1/sql", key), NotInSurface},
		"gRPC, another method":  {question("POST", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", key), NotInSurface},
		"gRPC, GET":             {question("GET", export, key), MethodNotAllowed},
		"no slash":              {question("POST", strings.TrimPrefix(export, "/"), key), AmbiguousPath},
		"CONNECT":               {question("CONNECT", "", key), AmbiguousPath},
		"fragment":              {question("POST", "/v1/metrics#/x", key), AmbiguousPath},
		"dots":                  {question("POST", "/v1/../v1/metrics", key), AmbiguousPath},
		"look-alike identity":   {question("POST", "/v1/metrics", key, "x_scope_orgid: evil"), AmbiguousHeaders},
		"another contract":      {question("POST", "/v1/metrics", key, "x-original-uri: /admin"), BadGatewayRequest},
		"override":              {question("POST", "/v1/metrics", key, "x-http-method-override: DELETE"), MethodOverridden},
		"websocket":             {question("POST", "/v1/metrics", key, "upgrade: websocket"), UpgradeRefused},
		"two methods":           {question("POST, GET", "/v1/metrics", key), BadGatewayRequest},
		"no method":             {question("", "/v1/metrics", key), BadGatewayRequest},
		"path apart from :path": {question("POST", "/v1/metrics", key, ":path: /admin"), BadGatewayRequest},
		"query apart":           {with(question("POST", "/v1/metrics", key), func(a *authv3.AttributeContext_HttpRequest) { a.Query = "a" }), BadGatewayRequest},
		"fragment apart":        {with(question("POST", "/v1/metrics", key), func(a *authv3.AttributeContext_HttpRequest) { a.Fragment = "a" }), BadGatewayRequest},
	} {
		response, err := client.Check(t.Context(), test.request)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := reasonOf(t, response); got != test.want.String() {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func both(a, b *authv3.CheckRequest) *authv3.CheckRequest {
	a.Attributes.Request.Http.HeaderMap = b.GetAttributes().GetRequest().GetHttp().GetHeaderMap()
	return a
}

func with(request *authv3.CheckRequest, change func(*authv3.AttributeContext_HttpRequest)) *authv3.CheckRequest {
	change(request.GetAttributes().GetRequest().GetHttp())
	return request
}

// What a client of Envoy gets to read: HTTP clients a problem, gRPC clients a message.
func TestCheckTellsClientsWhatToDo(t *testing.T) {
	h := start(t, withGRPC(t))
	client := authv3.NewAuthorizationClient(dialGRPC(t, h.server.config.GRPC.Addr().String(), insecure.NewCredentials()))
	unknown, _ := mint(t)
	for _, test := range []struct {
		key    string
		reason Reason
		code   codes.Code
		header string
	}{
		{unknown, UnknownKey, codes.Unauthenticated, "www-authenticate"},
		{h.registry.judged(t, registry.Undecided), Undecided, codes.Unavailable, "retry-after"},
		{h.registry.accept(t, v1alpha1.ScopeQuery), ScopeMissing, codes.PermissionDenied, "cache-control"},
	} {
		for _, forGRPC := range []bool{false, true} {
			headers := []string{"x-api-key: " + test.key}
			if forGRPC {
				headers = append(headers, "content-type: application/grpc+proto")
			}
			response, err := client.Check(t.Context(), question("POST", export, headers...))
			if err != nil {
				t.Fatal(err)
			}
			denied := response.GetDeniedResponse()
			fields := map[string]string{}
			for _, field := range denied.GetHeaders() {
				fields[field.GetHeader().GetKey()] = field.GetHeader().GetValue()
			}
			if codes.Code(response.GetStatus().GetCode()) != test.code || int(denied.GetStatus().GetCode()) != test.reason.Status() || fields[test.header] == "" {
				t.Errorf("%s: %v", test.reason, response)
			}
			if _, typed := fields["content-type"]; typed == forGRPC {
				t.Errorf("%s: content types for gRPC %v: %v", test.reason, forGRPC, fields)
			}
			var p problem
			if forGRPC {
				if !strings.HasSuffix(denied.GetBody(), "("+test.reason.String()+")") {
					t.Errorf("%s: %q", test.reason, denied.GetBody())
				}
			} else if err := json.Unmarshal([]byte(denied.GetBody()), &p); err != nil || p.Reason != test.reason.String() || p.Status != test.reason.Status() {
				t.Errorf("%s: %q", test.reason, denied.GetBody())
			}
		}
	}
}

func TestHealthFollowsReadiness(t *testing.T) {
	h := start(t, withGRPC(t))
	connection := dialGRPC(t, h.server.config.GRPC.Addr().String(), insecure.NewCredentials())
	client := grpc_health_v1.NewHealthClient(connection)
	watch, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "envoy.service.auth.v3.Authorization"})
	if err != nil {
		t.Fatal(err)
	}
	for _, ready := range []bool{true, false, true} {
		h.registry.notReady.Store(!ready)
		want := grpc_health_v1.HealthCheckResponse_SERVING
		if !ready {
			want = grpc_health_v1.HealthCheckResponse_NOT_SERVING
		}
		if got, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil || got.GetStatus() != want {
			t.Errorf("ready %v: %v, %v", ready, got, err)
		}
		if got, err := watch.Recv(); err != nil || got.GetStatus() != want {
			t.Errorf("ready %v: the watch says %v, %v", ready, got, err)
		}
	}
	if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("%v", err)
	}
	// A watch does not hold up a stop.
	h.stop()
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
	if err := <-h.done; err != nil {
		t.Error(err)
	}
}

// One request that panics must not end the service of all, nor show what it held.
func TestAPanicIsARefusal(t *testing.T) {
	h := start(t, withGRPC(t))
	client := authv3.NewAuthorizationClient(dialGRPC(t, h.server.config.GRPC.Addr().String(), insecure.NewCredentials()))
	key := h.registry.accept(t, v1alpha1.ScopeIngest)
	panics := func() { panic(key) }
	h.registry.during.Store(&panics)
	if response, err := client.Check(t.Context(), question("POST", "/v1/metrics", "x-api-key: "+key)); status.Code(err) != codes.Internal {
		t.Errorf("%v, %v", response, err)
	}
	h.registry.during.Store(nil)
	if response, err := client.Check(t.Context(), question("POST", "/v1/metrics", "x-api-key: "+key)); err != nil || reasonOf(t, response) != Allowed.String() {
		t.Errorf("%v, %v", response, err)
	}
	if log := h.log.String(); !strings.Contains(log, "panicked") || strings.Contains(log, key[4:20]) {
		t.Errorf("%s", log)
	}
}

func TestAnOversizedCheckIsAnError(t *testing.T) {
	h := start(t, withGRPC(t))
	client := authv3.NewAuthorizationClient(dialGRPC(t, h.server.config.GRPC.Addr().String(), insecure.NewCredentials()))
	if response, err := client.Check(t.Context(), question("POST", "/v1/metrics", "x-junk: "+strings.Repeat("x", maxCheckBytes))); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("%v, %v", response, err)
	}
}

// newExtAuthz makes the service without its listener.
func newExtAuthz(known *fakeRegistry) *extAuthz {
	id := identity{organization: "X-Scope-Orgid"}
	return &extAuthz{
		decider:  &decider{authenticator: known, surface: surface.Default()},
		identity: id, protected: id.names(), sanitizer: newHeaderSanitizer(id), metrics: newMetrics().endpoint(extAuthzEndpoint), clock: clock.RealClock{},
	}
}

// An allowed request is one that a key was good for, whatever else the question holds.
func FuzzCheck(f *testing.F) {
	known := newFakeRegistry()
	service := newExtAuthz(known)
	key := known.accept(f, v1alpha1.AllScopes()...)
	for _, target := range []string{"/v1/metrics", "//v1/metrics", export, "/v1/metrics?a#b", "/v1/%2e", "v1/metrics", "*", ""} {
		f.Add("POST", target, target, "x-junk", "a", true, true)
		f.Add("GET", target, "", "x_api_key", key, false, true)
	}
	f.Add("POST", "/v1/metrics", "/v1/metrics", "X-Scope-OrgID", "evil", true, false)
	f.Add("POST", "/v1/metrics", "/v1/metrics", "x-api-key", key, true, true)
	const imported = "9f2c4b1e-7d0a-4c3e-8f55-0d6f6a2b9c11"
	known.importKey(imported, v1alpha1.AllScopes()...)
	for _, name := range []string{"x-api-key", "X-Api-keY", "x_api_key", "authorization"} {
		f.Add("POST", "/v1/metrics", "/v1/metrics", name, imported, true, false)
		f.Add("POST", "/v1/metrics", "/v1/metrics", name, imported, false, false)
		f.Add("POST", "/v1/metrics", "/v1/metrics", name, imported, false, true)
	}
	f.Fuzz(func(t *testing.T, method, path, pseudo, name, value string, joined, keyed bool) {
		fields := map[string]string{":path": pseudo}
		if keyed {
			fields["x-api-key"] = key
		}
		each := &corev3.HeaderMap{}
		if joined {
			fields[name] = value
		} else {
			each.Headers = []*corev3.HeaderValue{{Key: name, RawValue: []byte(value)}}
		}
		response, err := service.Check(context.Background(), checkRequest(&authv3.AttributeContext_HttpRequest{
			Method: method, Path: path, Headers: maps.Clone(fields), HeaderMap: each,
		}))
		if err != nil {
			t.Fatal(err)
		}
		if got := reasonOf(t, response); got != Allowed.String() {
			return
		}
		// What was allowed: one key, under its name, and the path that Envoy routes by.
		keys := 0
		for name, value := range fields {
			if sameFolded(name, keyHeader) && value != "" {
				keys++
			}
		}
		if !joined && sameFolded(name, keyHeader) {
			keys++
		}
		judged, err := surface.Judge(path)
		if err != nil || keys != 1 || pseudo != path && fields[":path"] != path {
			t.Fatalf("allowed: %d keys, path %q, :path %q, %s: %v", keys, path, pseudo, name, err)
		}
		if _, found := surface.Default().Lookup(surface.Key, method, judged); found != surface.Found {
			t.Fatalf("allowed: %s %s", method, path)
		}
		if sameFolded(name, "X-Scope-Orgid") && http.CanonicalHeaderKey(name) != "X-Scope-Orgid" {
			t.Fatalf("allowed beside %q", name)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	known := newFakeRegistry()
	service := newExtAuthz(known)
	unknown, _ := mint(b)
	for name, key := range map[string]string{"allowed": known.accept(b, v1alpha1.AllScopes()...), "unknown": unknown} {
		request := question("POST", "/v1/metrics", "x-api-key: "+key, "user-agent: OTel OTLP Exporter Go/1.44.0", "content-type: application/x-protobuf",
			"content-encoding: gzip", "x-forwarded-for: 10.0.0.7", "x-forwarded-proto: https", "x-request-id: 5f0c")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := service.Check(b.Context(), request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
