// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
)

// kubernetesFiles are the files of config/gateways that are applied to a cluster.
var kubernetesFiles = []string{
	"envoy-gateway/gateway.yaml",
	"envoy-gateway/httproute.yaml",
	"envoy-gateway/referencegrant.yaml",
	"envoy-gateway/securitypolicy-grpc.yaml",
	"envoy-gateway/securitypolicy-http.yaml",
	"gateway-api/httproute-grpc.yaml",
	"gateway-api/httproute-http.yaml",
	"gateway-api/referencegrant.yaml",
	"ingress-nginx/controller-configmap.yaml",
	"ingress-nginx/ingress.yaml",
	"istio/authorizationpolicy.yaml",
	"istio/envoyfilter.yaml",
	"istio/virtualservice.yaml",
	"traefik/kubernetes.yaml",
}

// A real API server with the gateways' own CRDs takes every file: no unknown field,
// no wrong type, nothing that a rule of theirs forbids. And it is seen to refuse.
func TestKubernetesTakesTheManifests(t *testing.T) {
	ctx := t.Context()
	cluster, err := controlplane.Start(ctx, controlplane.Options{Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	install(ctx, t, cluster)

	for _, name := range kubernetesFiles {
		t.Run(name, func(t *testing.T) {
			if out, err := dryRun(t.Context(), cluster, filepath.Join("config", "gateways", name)); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	for _, broken := range brokenManifests {
		t.Run("refuses "+broken.what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "broken.yaml")
			whole := string(read(t, broken.file))
			manifest := strings.Replace(whole, broken.old, broken.new, 1)
			if manifest == whole {
				t.Fatalf("there is no %q in %s", broken.old, broken.file)
			}
			if err := os.WriteFile(path, []byte(manifest), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := dryRun(t.Context(), cluster, path); err == nil {
				t.Errorf("is taken:\n%s", out)
			}
		})
	}
}

// brokenManifests show that the API server looks: one for each set of CRDs.
var brokenManifests = []struct{ what, file, old, new string }{
	{"an unknown field of Envoy Gateway", "envoy-gateway/securitypolicy-grpc.yaml", "failOpen:", "failClosed:"},
	{"an unknown action of Envoy Gateway", "envoy-gateway/gateway.yaml", "escapedSlashesAction: RejectRequest", "escapedSlashesAction: Reject"},
	{"a filter of the Gateway API of one type that is of another", "gateway-api/httproute-grpc.yaml", "type: ExternalAuth", "type: URLRewrite"},
	{"an unknown protocol of the Gateway API", "gateway-api/httproute-http.yaml", "protocol: HTTP", "protocol: FTP"},
	{"an unknown field of Istio", "istio/authorizationpolicy.yaml", "provider:", "providers:"},
	{"an unknown action of Istio", "istio/authorizationpolicy.yaml", "action: CUSTOM", "action: ASK"},
	{"an unknown field of Traefik", "traefik/kubernetes.yaml", "trustForwardHeader:", "trustForwardHeaders:"},
	{"an unknown field of Kubernetes", "ingress-nginx/ingress.yaml", "pathType:", "kindOfPath:"},
}

// install applies the CRDs, and the namespaces that the files name.
func install(ctx context.Context, t *testing.T, cluster *controlplane.ControlPlane) {
	t.Helper()
	files, err := definitionFiles(ctx)
	if err != nil {
		t.Fatal(err)
	}
	apply := []string{"apply", "--server-side"}
	for _, file := range files {
		apply = append(apply, "--filename", file)
	}
	kubectl(ctx, t, cluster, apply...)
	kubectl(ctx, t, cluster, "wait", "--for=condition=Established", "customresourcedefinitions", "--all", "--timeout=60s")
	for _, namespace := range []string{"hexcovery", "hexcovery-system", "ingress-nginx", "istio-system"} {
		kubectl(ctx, t, cluster, "create", "namespace", namespace)
	}
}

func kubectl(ctx context.Context, t *testing.T, cluster *controlplane.ControlPlane, args ...string) {
	t.Helper()
	if out, err := cluster.Kubectl(ctx, args...).CombinedOutput(); err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args[:2], " "), err, out)
	}
}

func dryRun(ctx context.Context, cluster *controlplane.ControlPlane, path string) (string, error) {
	out, err := cluster.Kubectl(ctx, "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename", path).CombinedOutput()
	return string(out), err
}
