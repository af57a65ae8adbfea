// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/hexcovery/apikey-operator/hack/process"
)

// HAProxy is the distribution's.
var HAProxy = Program{
	Name:    "haproxy",
	onePort: true,
	launch: func(_ context.Context, at place, options Options) (process.Launch, error) {
		program, err := installed("haproxy")
		return process.Launch{
			Path: program,
			// -db: in the foreground.
			Args: []string{"-db", "-f", filepath.Join(options.Config, "haproxy.cfg")},
			// SIGTERM ends it at once, SIGUSR1 once its connections have ended.
			DiesOfTerm: true,
			Env: []string{
				"HEXCOVERY_BIND=" + at.http,
				"HEXCOVERY_ASK=" + at.spare,
				"HEXCOVERY_LUA=" + filepath.Join(options.Config, "hexcovery-auth.lua"),
			},
		}, err
	},
}

// Caddy is the one that is pinned.
var Caddy = Program{
	Name:    "caddy",
	onePort: true,
	launch: func(ctx context.Context, at place, options Options) (process.Launch, error) {
		program, err := Binary(ctx, "caddy", options.Log)
		if err != nil {
			return process.Launch{}, err
		}
		host, port, err := net.SplitHostPort(at.http)
		return process.Launch{
			Path: program,
			Args: []string{"run", "--config", filepath.Join(options.Config, "Caddyfile"), "--adapter", "caddyfile"},
			Env: []string{
				"HEXCOVERY_SITE=:" + port, "HEXCOVERY_BIND=" + host,
				// Several may run at once, and none is to write outside its folder.
				"CADDY_ADMIN=off",
				"HOME=" + options.Dir, "XDG_CONFIG_HOME=" + options.Dir, "XDG_DATA_HOME=" + options.Dir,
			},
		}, err
	},
}

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
    upstream hexcovery_api  { server UPSTREAM; keepalive 32; }
    upstream hexcovery_grpc { server UPSTREAM; keepalive 32; }

    server {
        listen LISTEN_HTTP;
        listen LISTEN_H2C http2;
        include hexcovery/server.conf;
    }
}
`

// Nginx is the distribution's.
var Nginx = Program{
	Name: "nginx",
	launch: func(_ context.Context, at place, options Options) (process.Launch, error) {
		link := filepath.Join(options.Dir, "hexcovery")
		if err := os.RemoveAll(link); err != nil {
			return process.Launch{}, err
		}
		if err := os.Symlink(options.Config, link); err != nil {
			return process.Launch{}, err
		}
		return launchNginx(options, strings.NewReplacer(
			"AUTHSERVER", options.AuthServer, "UPSTREAM", options.Upstream,
			"LISTEN_HTTP", at.http, "LISTEN_H2C", at.h2c,
		).Replace(nginxConf))
	},
}

// launchNginx has nginx run with this configuration.
func launchNginx(options Options, conf string) (process.Launch, error) {
	program, err := installed("nginx")
	if err != nil {
		return process.Launch{}, err
	}
	return process.Launch{Path: program, Args: []string{"-p", options.Dir, "-e", "stderr", "-c", "nginx.conf"}},
		os.WriteFile(filepath.Join(options.Dir, "nginx.conf"), []byte(conf), 0o600)
}
