// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/surface"
)

const export = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

// rawCodec sends bytes as they are, so that these tests need no generated code.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) {
	return *v.(*[]byte), nil
}
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data)
	return nil
}

// collector is a gRPC upstream: any method echoes each message in capitals, and
// fails when it is told to.
func collector(t testing.TB) (string, <-chan metadata.MD) {
	t.Helper()
	seen := make(chan metadata.MD, 1000)
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		seen <- md
		for {
			var message []byte
			if err := stream.RecvMsg(&message); err != nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return fmt.Errorf("receive: %w", err)
			}
			if string(message) == "fail" {
				return status.Error(codes.ResourceExhausted, "slow down")
			}
			message = []byte(strings.ToUpper(string(message)))
			if err := stream.SendMsg(&message); err != nil {
				return fmt.Errorf("send: %w", err)
			}
		}
	}))
	l := listen(t)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return l.Addr().String(), seen
}

func dial(t testing.TB, address string, secure *tls.Config) *grpc.ClientConn {
	t.Helper()
	credential := insecure.NewCredentials()
	if secure != nil {
		credential = credentials.NewTLS(secure)
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credential), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func call(ctx context.Context, conn *grpc.ClientConn, method, message string, pairs ...string) (string, error) {
	in, out := []byte(message), []byte(nil)
	err := conn.Invoke(metadata.AppendToOutgoingContext(ctx, pairs...), method, &in, &out)
	return string(out), err
}

func TestGRPCThroughTheProxy(t *testing.T) {
	address, seen := collector(t)
	h := start(t, withProxy(t, "http://"+address))
	conn := dial(t, h.proxy, nil)
	key := h.registry.accept(t, v1alpha1.ScopeIngest)

	got, err := call(t.Context(), conn, export, "metrics", "x-api-key", key, "x-scope-orgid", "evil", "x_scope_orgid", "evil")
	if err != nil || got != "METRICS" {
		t.Fatalf("%q, %v", got, err)
	}
	md := <-seen
	if strings.Join(md["x-scope-orgid"], ";") != "acme" || md["x_scope_orgid"] != nil || md["x-api-key"] != nil || md["x-api-key-name"][0] != "team-a/prod-agent" {
		t.Errorf("%v", md)
	}
}

// An error without a message comes as a header alone. Flushed too early it would
// end in a broken stream, so this is tried often.
func TestGRPCErrorsOfTheUpstreamArrive(t *testing.T) {
	address, _ := collector(t)
	h := start(t, withProxy(t, "h2c://"+address))
	conn := dial(t, h.proxy, nil)
	key := h.registry.accept(t, v1alpha1.ScopeIngest)
	for range 300 {
		_, err := call(t.Context(), conn, export, "fail", "x-api-key", key)
		if s := status.Convert(err); s.Code() != codes.ResourceExhausted || s.Message() != "slow down" {
			t.Fatal(err)
		}
	}
}

func TestGRPCClientsAreToldWhy(t *testing.T) {
	address, _ := collector(t)
	h := start(t, withProxy(t, "http://"+address))
	gone := start(t, withProxy(t, "http://"+closedAddress(t)))
	conn := dial(t, h.proxy, nil)
	good, unknown := h.registry.accept(t, v1alpha1.ScopeIngest), gone.registry.accept(t, v1alpha1.ScopeIngest)
	queryOnly, undecided := h.registry.accept(t, v1alpha1.ScopeQuery), h.registry.judged(t, registry.Undecided)

	for name, test := range map[string]struct {
		conn     *grpc.ClientConn
		method   string
		metadata []string
		code     codes.Code
		message  string
	}{
		"no key":           {conn, export, nil, codes.Unauthenticated, "X-API-Key"},
		"wrong header":     {conn, export, []string{"authorization", "Bearer " + good}, codes.Unauthenticated, "Send the key in the X-API-Key header. (wrong_header)"},
		"unknown key":      {conn, export, []string{"x-api-key", unknown}, codes.Unauthenticated, "(unknown_key)"},
		"two keys":         {conn, export, []string{"x-api-key", good, "x-api-key", good}, codes.Unauthenticated, "(ambiguous_credentials)"},
		"no scope":         {conn, export, []string{"x-api-key", queryOnly}, codes.PermissionDenied, "needs the scope ingest; the API key has: query"},
		"another service":  {conn, "/grpc.reflection.v1.ServerReflection/Info", []string{"x-api-key", good}, codes.PermissionDenied, "(not_in_surface)"},
		"undecided":        {conn, export, []string{"x-api-key", undecided}, codes.Unavailable, "(undecided)"},
		"upstream is gone": {dial(t, gone.proxy, nil), export, []string{"x-api-key", unknown}, codes.Unavailable, "(upstream_unavailable)"},
	} {
		_, err := call(t.Context(), test.conn, test.method, "metrics", test.metadata...)
		if s := status.Convert(err); s.Code() != test.code || !strings.Contains(s.Message(), test.message) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := call(t.Context(), conn, export, "still", "x-api-key", good); err != nil || got != "STILL" {
		t.Errorf("the connection is broken after refusals: %q, %v", got, err)
	}
}

// What gRPC clients of any age understand: one header with status 200, and nothing
// after it. Over HTTP/1.1 there is no gRPC, whatever the client calls it.
func TestGRPCRefusalIsTrailersOnly(t *testing.T) {
	h := start(t, withProxy(t, "http://"+closedAddress(t)))
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+h.proxy+export, nil)
	request.Header.Set("Content-Type", "application/grpc+proto")
	response, err := h2cClient(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || len(body) != 0 || len(response.Trailer) != 0 || response.StatusCode != http.StatusOK ||
		response.Header.Get("Grpc-Status") != "16" || response.Header.Get("Content-Type") != "application/grpc" {
		t.Errorf("%d %v %q %v, %v", response.StatusCode, response.Header, body, response.Trailer, err)
	}
	checkNoIdentity(t, response)

	for _, contentType := range []string{"application/grpc", "application/grpc-web", "application/grpc-web+proto"} {
		plain, text := exchange(t, h.proxy, raw("POST "+export, "Content-Type: "+contentType))
		if got := readReason(t, plain, text); got != MissingKey.String() {
			t.Errorf("%s: %s", contentType, got)
		}
	}
}

// Where a plain HTTP refusal reaches a gRPC client all the same, through a gateway,
// the client still has the right code.
func TestGRPCClientsUnderstandPlainRefusals(t *testing.T) {
	h := start(t, nil)
	gateway := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: h.gateways}))
	gateway.Config.Protocols = new(http.Protocols)
	gateway.Config.Protocols.SetUnencryptedHTTP2(true)
	gateway.Start()
	t.Cleanup(gateway.Close)
	conn := dial(t, gateway.Listener.Addr().String(), nil)
	_, err := call(t.Context(), conn, "/auth/original", "x")
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("401: %v", err)
	}
	_, err = call(t.Context(), conn, "/auth/original", "x", "x-api-key", h.registry.accept(t, v1alpha1.ScopeIngest))
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("403: %v", err)
	}
	_, err = call(t.Context(), conn, "/auth/original", "x", "x-api-key", h.registry.judged(t, registry.Undecided))
	if status.Code(err) != codes.Unavailable {
		t.Errorf("503: %v", err)
	}
}

func TestGRPCStreamsBothWays(t *testing.T) {
	address, _ := collector(t)
	table, err := surface.Parse([]byte("apiVersion: auth.hexcovery.io/v1alpha1\nkind: Surface\nrules:\n- {name: echo, scope: ingest, grpc: [test.v1.Echo/Stream]}"))
	if err != nil {
		t.Fatal(err)
	}
	certificate := newCertificate(t, "one")
	directory := t.TempDir()
	certificate.write(t, directory)
	h := start(t, func(c *Config) {
		withProxy(t, "http://"+address)(c)
		c.Surface = table
		c.Certificates = loadCertificates(t, directory)
	})
	conn := dial(t, h.proxy, certificate.clientConfig())
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-api-key", h.registry.accept(t, v1alpha1.ScopeIngest))
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test.v1.Echo/Stream")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		in, out := fmt.Appendf(nil, "message %d", i), []byte(nil)
		if err := stream.SendMsg(&in); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&out); err != nil || string(out) != strings.ToUpper(string(in)) {
			t.Fatalf("%q, %v", out, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var out []byte
	if err := stream.RecvMsg(&out); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}
