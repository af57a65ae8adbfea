// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/hexcovery/apikey-operator/hack/process"
)

const nginxName = "nginx"

// nginxMain is what a test needs around what a user writes: one process, which cannot
// outlive this one, and no files outside its folder.
const nginxMain = `daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events {}
http {
    access_log off;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
`

// nginxConf is what a user of config/gateways/nginx writes. nginx before 1.25.1 has a
// listener speak either HTTP/1.1 or HTTP/2 without TLS.
const nginxConf = nginxMain + `
    include hexcovery/http.conf;

    upstream hexcovery_auth { server AUTHSERVER; keepalive 32; }
    upstream hexcovery_api  { server UPSTREAM_HTTP; keepalive 32; }
    upstream hexcovery_grpc { server UPSTREAM_GRPC; keepalive 32; }

    server {
        listen LISTEN_HTTP;
        listen LISTEN_H2C http2;
        include hexcovery/server.conf;
    }
}
`

// StartNginx starts the distribution's nginx.
func StartNginx(ctx context.Context, options Options) (*Gateway, error) {
	return start(ctx, nginxName, options, func(at *place, options Options) (process.Launch, error) {
		program, err := installed("nginx", "nginx")
		if err != nil {
			return process.Launch{}, err
		}
		link := filepath.Join(options.Dir, "hexcovery")
		if err := os.RemoveAll(link); err != nil {
			return process.Launch{}, err
		}
		if err := os.Symlink(options.Config, link); err != nil {
			return process.Launch{}, err
		}
		conf := strings.NewReplacer(
			"AUTHSERVER", options.AuthServer, "UPSTREAM_HTTP", options.Upstream, "UPSTREAM_GRPC", options.UpstreamGRPC,
			"LISTEN_HTTP", at.http, "LISTEN_H2C", at.h2c,
		).Replace(nginxConf)
		if err := os.WriteFile(filepath.Join(options.Dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
			return process.Launch{}, err
		}
		return process.Launch{Path: program, Args: []string{"-p", options.Dir, "-e", "stderr", "-c", "nginx.conf"}}, nil
	})
}
