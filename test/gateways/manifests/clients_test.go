// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"os/exec"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

// The Debian Prometheus checks its own file. It does not know http_headers, which came
// with 2.54: that file is read by its structure.
func TestPrometheusTakesTheConfigurations(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("promtool is not installed: apt-get install prometheus: %v", err)
	}
	old := filepath.Join(root, "config", "gateways", "prometheus", "remote-write-2.42.yaml")
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "config", "--syntax-only", old).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	var config struct {
		Global      map[string]any `json:"global"`
		RemoteWrite []struct {
			Name            string         `json:"name"`
			URL             string         `json:"url"`
			RemoteTimeout   string         `json:"remote_timeout"`
			FollowRedirects *bool          `json:"follow_redirects"`
			QueueConfig     map[string]any `json:"queue_config"`
			HTTPHeaders     map[string]struct {
				Files []string `json:"files"`
			} `json:"http_headers"`
		} `json:"remote_write"`
	}
	if err := yaml.UnmarshalStrict(read(t, "prometheus/remote-write.yaml"), &config); err != nil {
		t.Fatal(err)
	}
	write := config.RemoteWrite[0]
	if len(write.HTTPHeaders) != 1 || len(write.HTTPHeaders["X-API-Key"].Files) != 1 || write.FollowRedirects == nil || *write.FollowRedirects {
		t.Errorf("%+v", write)
	}
}

// The extension's defaults would send "Authorization: Bearer KEY", which is refused.
func TestTheCollectorIsGivenTheKeyFromAFile(t *testing.T) {
	for file, exporter := range map[string]string{"otel-collector/otlp-http.yaml": "otlp_http", "otel-collector/otlp-grpc.yaml": "otlp_grpc"} {
		var config struct {
			Extensions struct {
				Bearer struct {
					Header   string  `json:"header"`
					Scheme   *string `json:"scheme"`
					Filename string  `json:"filename"`
					Retry    any     `json:"retry_on_failure"`
					Wait     bool    `json:"wait_for_token_file"`
				} `json:"bearertokenauth"`
				Storage any `json:"file_storage"`
			} `json:"extensions"`
			Receivers any `json:"receivers"`
			Exporters map[string]struct {
				Endpoint string            `json:"endpoint"`
				Auth     map[string]string `json:"auth"`
				Timeout  string            `json:"timeout"`
				Retry    any               `json:"retry_on_failure"`
				Queue    any               `json:"sending_queue"`
			} `json:"exporters"`
			Service struct {
				Extensions []string `json:"extensions"`
				Pipelines  map[string]struct {
					Receivers []string `json:"receivers"`
					Exporters []string `json:"exporters"`
				} `json:"pipelines"`
			} `json:"service"`
		}
		if err := yaml.UnmarshalStrict(read(t, file), &config); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		bearer := config.Extensions.Bearer
		if bearer.Header != "X-API-Key" || bearer.Scheme == nil || *bearer.Scheme != "" || bearer.Filename == "" || !bearer.Wait {
			t.Errorf("%s: %+v", file, bearer)
		}
		if config.Exporters[exporter].Auth["authenticator"] != "bearertokenauth" || len(config.Service.Pipelines) != 3 {
			t.Errorf("%s: %+v", file, config.Exporters)
		}
		for name, pipeline := range config.Service.Pipelines {
			if len(pipeline.Exporters) != 1 || pipeline.Exporters[0] != exporter {
				t.Errorf("%s: the pipeline %s sends to %q", file, name, pipeline.Exporters)
			}
		}
	}
}
