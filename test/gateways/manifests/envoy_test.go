// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
)

func TestEnvoyTakesTheBootstraps(t *testing.T) {
	for _, name := range []string{"envoy/envoy-grpc.yaml", "envoy/envoy-http.yaml"} {
		t.Run(name, func(t *testing.T) {
			if err := ParseMessage(read(t, name), &bootstrapv3.Bootstrap{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// What would be overlooked by a lenient reader is an error, wherever it stands.
func TestEnvoyRefusesABrokenBootstrap(t *testing.T) {
	whole := string(read(t, "envoy/envoy-grpc.yaml"))
	for name, change := range map[string][2]string{
		"a field that no message has, inside of typed_config": {"merge_slashes: true", "merge_slashez: true"},
		"a field that no message has":                         {"static_resources:", "static_resourcez:"},
		"an extension that nobody knows":                      {"http.router.v3.Router", "http.router.v3.Rooter"},
		"a value that a rule forbids, inside of typed_config": {"stat_prefix: hexcovery", `stat_prefix: ""`},
		"a value that no enumeration has":                     {"REJECT_REQUEST", "REJECT"},
		"the same key twice":                                  {"merge_slashes: true", "normalize_path: true"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := strings.Replace(whole, change[0], change[1], 1)
			if broken == whole {
				t.Fatalf("there is no %q in the file", change[0])
			}
			if err := ParseMessage([]byte(broken), &bootstrapv3.Bootstrap{}); err == nil {
				t.Error("is taken")
			}
		})
	}
}

// What the route guards as well, and what the auth server refuses by itself: the files do
// not rely on that, and no replay would notice.
func TestTheBootstrapsAreClosedByThemselves(t *testing.T) {
	for _, name := range []string{"envoy/envoy-grpc.yaml", "envoy/envoy-http.yaml"} {
		bootstrap := &bootstrapv3.Bootstrap{}
		if err := ParseMessage(read(t, name), bootstrap); err != nil {
			t.Fatal(err)
		}
		found := 0
		err := eachPacked(bootstrap, func(message proto.Message) {
			switch m := message.(type) {
			case *authzv3.ExtAuthz:
				found++
				if m.GetFailureModeAllow() || !m.GetEncodeRawHeaders() || m.GetStatusOnError().GetCode() != 503 || m.GetWithRequestBody() != nil {
					t.Errorf("%s: %v", name, m)
				}
			case *hcmv3.HttpConnectionManager:
				found++
				if m.GetCommonHttpProtocolOptions().GetHeadersWithUnderscoresAction() != corev3.HttpProtocolOptions_REJECT_REQUEST ||
					!m.GetUseRemoteAddress().GetValue() || m.GetRouteConfig().GetVirtualHosts()[0].GetRequestHeadersToRemove()[0] != "x-api-key" {
					t.Errorf("%s: %v", name, m)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if found != 2 {
			t.Errorf("%s: found %d of what it should have", name, found)
		}
	}
}
