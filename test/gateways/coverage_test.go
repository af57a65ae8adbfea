// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// covered says which test reads each file of config/gateways: the folder of a gateway
// that is run with all of it, or the file.
var covered = map[string]string{
	"caddy":            "TestGateways: the real program",
	"haproxy":          "TestGateways: the real program",
	"nginx":            "TestGateways: the real program",
	"envoy":            "TestGateways: a replay; manifests.TestEnvoyTakesTheBootstraps",
	"envoy-gateway":    "TestGateways: a replay; manifests.TestKubernetesTakesTheManifests",
	"gateway-api":      "manifests.TestKubernetesTakesTheManifests",
	"ingress-nginx":    "TestGateways: a replay; manifests.TestKubernetesTakesTheManifests",
	"istio":            "TestGateways: a replay; manifests.TestKubernetesTakesTheManifests; meshconfig.yaml: manifests.TestIstioTakesTheMeshConfiguration",
	"otel-collector":   "clients: the real program; manifests.TestTheCollectorIsGivenTheKeyFromAFile",
	"prometheus":       "clients: the real program, surface.yaml too; manifests.TestPrometheusTakesTheConfigurations",
	"traefik":          "TestGateways: a replay; kubernetes.yaml: manifests.TestKubernetesTakesTheManifests, TestTheCRDsOfTraefikSayWhatTheFileSays",
	"prom-label-proxy": "package clients",
}

// A file that nobody tests is a file that nobody may copy.
func TestEveryFileOfConfigGatewaysIsTested(t *testing.T) {
	root := "../../config/gateways"
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), root+"/")
		folder, file, ok := strings.Cut(name, "/")
		if !ok || covered[folder] == "" {
			t.Errorf("no test reads config/gateways/%s", name)
			return nil
		}
		if list, ok := readBy[folder]; ok && !list[file] {
			t.Errorf("no test reads config/gateways/%s", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder, files := range readBy {
		for file := range files {
			if _, err := os.Stat(filepath.Join(root, folder, file)); err != nil {
				t.Error(err)
			}
		}
	}
}

// readBy are the files of those folders that are not used as a whole.
var readBy = map[string]map[string]bool{
	"envoy":          set("envoy-grpc.yaml", "envoy-http.yaml"),
	"envoy-gateway":  set("gateway.yaml", "httproute.yaml", "referencegrant.yaml", "securitypolicy-grpc.yaml", "securitypolicy-http.yaml"),
	"gateway-api":    set("httproute-grpc.yaml", "httproute-http.yaml", "referencegrant.yaml"),
	"ingress-nginx":  set("controller-configmap.yaml", "ingress.yaml"),
	"istio":          set("authorizationpolicy.yaml", "envoyfilter.yaml", "meshconfig.yaml", "virtualservice.yaml"),
	"otel-collector": set("otlp-grpc.yaml", "otlp-http.yaml"),
	"prometheus":     set("remote-write.yaml", "remote-write-2.42.yaml", "surface.yaml"),
	"traefik":        set("dynamic.yaml", "kubernetes.yaml", "traefik.yaml"),
}

func set(names ...string) map[string]bool {
	s := map[string]bool{}
	for _, name := range names {
		s[name] = true
	}
	return s
}
