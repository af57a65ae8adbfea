// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"strings"
	"testing"
)

func TestEnvoyTakesTheBootstraps(t *testing.T) {
	for _, name := range []string{"envoy/envoy-grpc.yaml", "envoy/envoy-http.yaml"} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseBootstrap(read(t, name)); err != nil {
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
			if _, err := ParseBootstrap([]byte(broken)); err == nil {
				t.Error("is taken")
			}
		})
	}
}
