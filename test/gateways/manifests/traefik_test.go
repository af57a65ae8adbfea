// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"reflect"
	"testing"

	"sigs.k8s.io/yaml"
)

// The file is replayed; the CRDs are to be the same.
func TestTheCRDsOfTraefikSayWhatTheFileSays(t *testing.T) {
	var file struct {
		HTTP struct {
			Routers     map[string]struct{ Middlewares []string }
			Middlewares map[string]map[string]any
		}
	}
	if err := yaml.Unmarshal(read(t, "traefik/dynamic.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	for document := range bytes.SplitSeq(read(t, "traefik/kubernetes.yaml"), []byte("\n---\n")) {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
			Spec     map[string]any
		}
		if err := yaml.Unmarshal(document, &object); err != nil {
			t.Fatal(err)
		}
		switch object.Kind {
		case "Middleware":
			if want := file.HTTP.Middlewares[object.Metadata.Name]; !reflect.DeepEqual(want, object.Spec) {
				t.Errorf("%s is %v, and in the file %v", object.Metadata.Name, object.Spec, want)
			}
			delete(file.HTTP.Middlewares, object.Metadata.Name)
		case "IngressRoute":
			var names []string
			for _, m := range object.Spec["routes"].([]any)[0].(map[string]any)["middlewares"].([]any) {
				names = append(names, m.(map[string]any)["name"].(string))
			}
			if want := file.HTTP.Routers["hexcovery"].Middlewares; !reflect.DeepEqual(want, names) {
				t.Errorf("the middlewares are %v, and in the file %v", names, want)
			}
		}
	}
	if len(file.HTTP.Middlewares) != 0 {
		t.Errorf("the CRDs lack %v", file.HTTP.Middlewares)
	}
}
