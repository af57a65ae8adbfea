// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/test/gateways/replay"
	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

// beyond are the checks that a gateway does not pass, for a reason that its page tells.
var beyond = map[string][]string{
	"ingress-nginx": {
		// Any 2xx lets in, also without an identity.
		"something else in its place: not allowed",
		"gRPC: something else in its place: UNAVAILABLE",
		// X-Original-Forwarded-For and -Host say what the client said.
		"other headers that deceive do not arrive",
	},
	// What ForwardAuth cannot do. TestTraefikRefusesInItsOwnWay says what it does instead.
	"traefik": {
		"no auth server: 503",
		"an auth server that hangs: 503 within 5 s",
		"an auth server that drips: 503",
		"something else in its place: not allowed",
		"a path arrives byte for byte",
		// It does not answer in gRPC.
		"gRPC: no key, an unknown key, two keys: UNAUTHENTICATED",
		"gRPC: a scope that the key lacks: PERMISSION_DENIED",
		"gRPC: another service: PERMISSION_DENIED",
		"gRPC: the auth server cannot decide: UNAVAILABLE",
		"gRPC: a revoked key is refused with the next call of the connection",
		"gRPC: no auth server: UNAVAILABLE",
		"gRPC: something else in its place: UNAVAILABLE",
	},
	// Its providers know no second try: what was asked on a connection that breaks is a 503.
	"istio-grpc": {"an auth server that restarts costs nobody a request"},
	"eg-grpc":    emptyRefusals,
	// Over HTTP a 503 of the auth server is Envoy's own, and what else it answers goes to the
	// client as it is.
	"eg-http": slices.Concat(emptyRefusals, []string{
		"the auth server cannot decide: 503, to be tried again",
		"something else in its place: not allowed",
		"gRPC: the auth server cannot decide: UNAVAILABLE",
		"gRPC: something else in its place: UNAVAILABLE",
	}),
}

// emptyRefusals are what Envoy Gateway refuses with a 503 that has no body, since it is
// Envoy's own. TestEnvoyGatewayRefusesInItsOwnWay says what it does instead.
var emptyRefusals = []string{
	"no auth server: 503",
	"an auth server that hangs: 503 within 5 s",
	"an auth server that drips: 503",
	"gRPC: no auth server: UNAVAILABLE",
}

// replayOf returns the replay of this name. The zero value is for a gateway that runs here.
func replayOf(name string) (of replay.Program) {
	for _, program := range replay.All() {
		if program.Name == name {
			of = program
		}
	}
	return of
}

// folderOf is where the configuration of a column is.
func folderOf(column string) string {
	return filepath.Join("../../config/gateways", cmp.Or(replayOf(column).Folder, column))
}

// startReplay puts a replay into the world.
func startReplay(t *testing.T, w *world, program replay.Program) {
	t.Helper()
	server := rig.StartAuthServer(t, w.registry, w.sessions, "")
	w.authServer = server.Gateways
	if program.GRPC {
		w.authServer = server.GRPC
	}
	w.auth = rig.NewSwitch(t, w.authServer)
	files := os.DirFS(cmp.Or(*configFolder, folderOf(program.Name)))
	address, err := program.Start(t.Context(), files, replay.Options{AuthServer: w.auth.Address, Upstream: w.way.Address})
	if err != nil {
		t.Fatal(err)
	}
	w.http, w.h2c = address, address
	w.manners = manners{normalizes: true, refusesNames: true, grpcByType: program.Name != "traefik"}
	fmt.Fprintf(os.Stdout, "gateways: %s is ready\n", program.Name)
}

// What Traefik says when the auth server does not answer is 500; any 2xx lets in; and a
// client of gRPC gets an HTTP status, of which it makes a code.
func TestTraefikRefusesInItsOwnWay(t *testing.T) {
	w := newWorld(t)
	startReplay(t, w, replayOf("traefik"))
	key, conn := w.registry.Accept(t, "acme"), w.connect(t)
	code := func(want codes.Code, pairs ...string) {
		t.Helper()
		if arrivals, s := w.export(t, conn, 10, pairs...); len(arrivals) != 0 || s.Code() != want {
			t.Errorf("%s %q, and %d calls reached the upstream; want %s", s.Code(), s.Message(), len(arrivals), want)
		}
	}
	code(codes.Unauthenticated)
	code(codes.Unauthenticated, "x-api-key", rig.Mint(t).Plaintext)
	code(codes.Unauthenticated, "x-api-key", key.Plaintext, "x-api-key", key.Plaintext)
	code(codes.PermissionDenied, "x-api-key", w.registry.Accept(t, "acme", v1alpha1.ScopeQuery).Plaintext)
	w.registry.Blind(true)
	code(codes.Unavailable, "x-api-key", key.Plaintext)
	w.registry.Blind(false)

	for _, answer := range []string{
		"SSH-2.0-OpenSSH_9.2\r\n", reply("302 Found", "Location: /"), reply("404 Not Found", organization, keyID, keyName), reply("500 Internal Server Error"),
	} {
		w.pretend(t, answer, func() {
			if a := w.send(t, "POST", "/v1/metrics", "a batch", with(key)); len(a.arrivals) != 0 || a.status < 300 {
				t.Errorf("after %q the client got %d, and %d requests reached the upstream", answer, a.status, len(a.arrivals))
			}
		})
	}
	// Any 2xx lets in. What a client says of itself does not arrive even then.
	w.pretend(t, reply("204 No Content"), func() {
		a := w.send(t, "POST", "/v1/metrics", "a batch", with(key), "X-Scope-OrgID: evil", "X-API-Key-ID: evil", "X-API-Key-Name: evil")
		if lies := a.lies(); len(a.arrivals) != 1 || lies != nil {
			t.Errorf("%d requests reached the upstream, with %q", len(a.arrivals), lies)
		}
	})
	// Escapes are written in upper case before the question, and ; in a query as & after
	// it, of which the auth server judges nothing.
	for target, want := range map[string]string{
		"/api/v1/annotations/a%3ab%2Cc%2cd":     "/api/v1/annotations/a%3Ab%2Cc%2Cd",
		"/api/v1/annotations?a=1;b=2&c=d?e&&":   "/api/v1/annotations?a=1&b=2&c=d?e&&",
		"/api/v1/annotations?q=%2F%2e%2E&y=/..": "/api/v1/annotations?q=%2F%2e%2E&y=/..",
	} {
		if arrived := w.send(t, "GET", target, "", with(key)).arrived(t, key).Target; arrived != want {
			t.Errorf("%s arrived as %s", target, arrived)
		}
	}
	w.auth.Vanish()
	a := w.send(t, "POST", "/v1/metrics", "a batch", with(key))
	if a.notAllowed(t); a.status != http.StatusInternalServerError {
		t.Errorf("%d %q", a.status, a.body)
	}
}

// The auth server has a gateway that can do it remove the key and more. The files do not
// rely on that.
func TestTheFilesThemselvesDropTheKey(t *testing.T) {
	for _, program := range replay.All() {
		if program.GRPC {
			continue // the same file as over HTTP, or TestTheBootstrapsOfEnvoyAgree
		}
		t.Run(program.Name, func(t *testing.T) {
			w := newWorld(t)
			startReplay(t, w, program)
			key := w.registry.Accept(t, "acme")
			w.pretend(t, reply("200 OK", organization, keyID, keyName), func() {
				headers := []string{with(key), "Cookie: " + evil, "Cookie2: " + evil}
				for _, name := range neverForwarded {
					headers = append(headers, name+": "+evil)
				}
				a := w.send(t, "POST", "/v1/metrics", "a batch", headers...)
				if lies := a.lies(); len(a.arrivals) != 1 || lies != nil || a.arrivals[0].Header["X-Api-Key"] != nil {
					t.Errorf("%d requests reached the upstream, with %q: %v", len(a.arrivals), lies, a.arrivals)
				}
			})
		})
	}
}

// What the two bootstraps of Envoy do apart from the question, they do alike.
func TestTheBootstrapsOfEnvoyAgree(t *testing.T) {
	var rest [2]string
	for i, name := range []string{"envoy-grpc.yaml", "envoy-http.yaml"} {
		file, err := os.ReadFile(filepath.Join("../../config/gateways/envoy", name))
		if err != nil {
			t.Fatal(err)
		}
		_, manager, found := strings.Cut(string(file), "\nadmin:\n")
		before, _, ok := strings.Cut(manager, "          - name: envoy.filters.http.ext_authz\n")
		_, after, ok2 := strings.Cut(manager, "          - name: envoy.filters.http.router\n")
		after, _, ok3 := strings.Cut(after, "\n  clusters:\n")
		if !found || !ok || !ok2 || !ok3 {
			t.Fatalf("%s is not laid out as it was", name)
		}
		rest[i] = strings.NewReplacer("ext_authz:organization", "O", "ext_authz:x-scope-orgid", "O", "ext_authz:key_id", "K", "ext_authz:x-api-key-id", "K").Replace(before + after)
	}
	if rest[0] != rest[1] {
		t.Error("they differ before ext_authz, or from the router on")
	}
}
