// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	meshv1alpha1 "istio.io/api/mesh/v1alpha1"
	"sigs.k8s.io/yaml"
)

// meshConfig is istio/meshconfig.yaml.
func meshConfig(t *testing.T) *meshv1alpha1.MeshConfig {
	t.Helper()
	mesh := &meshv1alpha1.MeshConfig{}
	if err := ParseMessage(read(t, "istio/meshconfig.yaml"), mesh); err != nil {
		t.Fatal(err)
	}
	return mesh
}

func TestIstioTakesTheMeshConfiguration(t *testing.T) {
	for _, provider := range meshConfig(t).ExtensionProviders {
		switch p := provider.Provider.(type) {
		case *meshv1alpha1.MeshConfig_ExtensionProvider_EnvoyExtAuthzGrpc:
			closed(t, provider.Name, p.EnvoyExtAuthzGrpc)
		case *meshv1alpha1.MeshConfig_ExtensionProvider_EnvoyExtAuthzHttp:
			closed(t, provider.Name, p.EnvoyExtAuthzHttp)
		default:
			t.Errorf("%s: a provider of another kind: %T", provider.Name, p)
		}
	}
}

// closed checks what both kinds of provider have, and what Istio's defaults have wrong.
func closed(t *testing.T, name string, provider interface {
	GetFailOpen() bool
	GetStatusOnError() string
	GetClearRouteCache() bool
},
) {
	t.Helper()
	if provider.GetFailOpen() || provider.GetStatusOnError() != "503" || provider.GetClearRouteCache() {
		t.Errorf("%s does not fail closed, with 503: %v", name, provider)
	}
}

// The API server knows nothing of what is inside of a patch.
func TestEnvoyTakesThePatchesOfTheEnvoyFilter(t *testing.T) {
	var filter struct {
		Spec struct {
			ConfigPatches []struct {
				ApplyTo string
				Patch   struct {
					Value struct {
						TypedConfig json.RawMessage `json:"typed_config"`
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(read(t, "istio/envoyfilter.yaml"), &filter); err != nil {
		t.Fatal(err)
	}
	if len(filter.Spec.ConfigPatches) != 2 {
		t.Fatalf("%d patches", len(filter.Spec.ConfigPatches))
	}
	for _, patch := range filter.Spec.ConfigPatches {
		// Not validated as a whole: a patch leaves out what it does not change.
		if err := protojson.Unmarshal(patch.Patch.Value.TypedConfig, &anypb.Any{}); err != nil {
			t.Errorf("%s: %v", patch.ApplyTo, err)
		}
	}
}

func TestThePolicyOfIstioNamesAProvider(t *testing.T) {
	var policy struct {
		Spec struct {
			Action   string
			Provider struct{ Name string }
			Rules    []map[string]any
		}
	}
	if err := yaml.Unmarshal(read(t, "istio/authorizationpolicy.yaml"), &policy); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, provider := range meshConfig(t).ExtensionProviders {
		known[provider.Name] = true
	}
	if !known[policy.Spec.Provider.Name] {
		t.Errorf("the mesh configuration has no provider %q", policy.Spec.Provider.Name)
	}
	// Without a rule Istio asks about nothing; a rule with conditions asks about less
	// than everything.
	if policy.Spec.Action != "CUSTOM" || len(policy.Spec.Rules) != 1 || len(policy.Spec.Rules[0]) != 0 {
		t.Errorf("action %s with rules %v: does not ask about every request", policy.Spec.Action, policy.Spec.Rules)
	}
}
