// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/hack/process"
)

const ingressNginxName = "ingress-nginx"

// StartIngressNginx starts the distribution's nginx with what ingress-nginx makes of
// the Ingresses and ConfigMaps of config/gateways/ingress-nginx: of its template
// (rootfs/etc/nginx/template/nginx.tmpl, 1.15.1) the part that these files have to do
// with. The controller itself, and its Lua, do not run here.
func StartIngressNginx(ctx context.Context, options Options) (*Gateway, error) {
	return start(ctx, ingressNginxName, options, func(at *place, options Options) (process.Launch, error) {
		program, err := installed("nginx", "nginx")
		if err != nil {
			return process.Launch{}, err
		}
		conf, err := renderIngressNginx(at, options)
		if err != nil {
			return process.Launch{}, err
		}
		if err := os.WriteFile(filepath.Join(options.Dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
			return process.Launch{}, err
		}
		return process.Launch{Path: program, Args: []string{"-p", options.Dir, "-e", "stderr", "-c", "nginx.conf"}}, nil
	})
}

// object is what is read of an Ingress or a ConfigMap.
type object struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Namespace   string            `json:"namespace"`
		Name        string            `json:"name"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Data map[string]string `json:"data"`
	Spec struct {
		Rules []struct {
			HTTP struct {
				Paths []struct {
					Path     string `json:"path"`
					PathType string `json:"pathType"`
				} `json:"paths"`
			} `json:"http"`
		} `json:"rules"`
	} `json:"spec"`
}

// readObjects reads files of several documents each: Ingresses apart from ConfigMaps,
// which are by namespace and name.
func readObjects(paths ...string) (ingresses []object, configMaps map[string]map[string]string, err error) {
	configMaps = map[string]map[string]string{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		for document := range bytes.SplitSeq(data, []byte("\n---\n")) {
			var one object
			if err := yaml.Unmarshal(document, &one); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", path, err)
			}
			if one.Kind == "ConfigMap" {
				configMaps[one.Metadata.Namespace+"/"+one.Metadata.Name] = one.Data
			} else {
				ingresses = append(ingresses, one)
			}
		}
	}
	return ingresses, configMaps, nil
}

// knownSettings are those of the controller's ConfigMap that are rendered here, or that
// say what is rendered in any case. Another one is an error.
var knownSettings = []string{
	"proxy-set-headers", "enable-underscores-in-headers", "ignore-invalid-headers", "use-forwarded-headers",
	"allow-snippet-annotations", "http-snippet", "location-snippet", "server-snippet",
}

func renderIngressNginx(at *place, options Options) (string, error) {
	ingresses, configMaps, err := readObjects(filepath.Join(options.Config, "controller-configmap.yaml"), filepath.Join(options.Config, "ingress.yaml"))
	if err != nil {
		return "", err
	}
	settings := configMaps["ingress-nginx/ingress-nginx-controller"]
	for name := range settings {
		if !slices.Contains(knownSettings, name) {
			return "", fmt.Errorf("the setting %s is not known here", name)
		}
	}
	var locations strings.Builder
	for i, one := range ingresses {
		for j, path := range one.Spec.Rules[0].HTTP.Paths {
			l := location{
				auth: fmt.Sprintf("/_external-auth-%d-%d", i, j), path: path.Path, exact: path.PathType == "Exact",
				setHeaders: configMaps[settings["proxy-set-headers"]], snippet: settings["location-snippet"], options: options,
			}
			if err := l.annotate(one.Metadata.Annotations, configMaps); err != nil {
				return "", err
			}
			l.render(&locations)
		}
	}
	onOff := func(name string) string { return map[bool]string{true: "on", false: "off"}[settings[name] == "true"] }
	return strings.NewReplacer(
		"LISTEN_HTTP", at.http, "LISTEN_H2C", at.h2c, "HTTP_SNIPPET", settings["http-snippet"], "SERVER_SNIPPET", settings["server-snippet"], "LOCATIONS", locations.String(),
		"UNDERSCORES", onOff("enable-underscores-in-headers"), "IGNORE_INVALID", onOff("ignore-invalid-headers"),
		"UPSTREAM_HTTP", options.Upstream, "UPSTREAM_GRPC", options.UpstreamGRPC,
	).Replace(ingressNginxConf), nil
}

const ingressNginxConf = `daemon off;
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
    underscores_in_headers UNDERSCORES;
    ignore_invalid_headers IGNORE_INVALID;
    map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
    map $http_host $best_http_host { default $http_host; '' $host; }
    HTTP_SNIPPET
    upstream upstream_balancer { server UPSTREAM_HTTP; keepalive 320; }
    upstream upstream_balancer_grpc { server UPSTREAM_GRPC; keepalive 320; }
    server {
        listen LISTEN_HTTP;
        listen LISTEN_H2C http2;
        SERVER_SNIPPET
LOCATIONS
    }
}
`

// location is one path of an Ingress, and the question that belongs to it.
type location struct {
	auth, path string
	exact      bool
	grpc       bool
	url        *url.URL
	response   []string
	connect    string
	read       string
	body       string
	buffering  string
	setHeaders map[string]string
	// authHeaders are for the question.
	authHeaders map[string]string
	snippet     string
	options     Options
}

// annotate reads the annotations. Another one than is known here is an error.
func (l *location) annotate(annotations map[string]string, configMaps map[string]map[string]string) error {
	l.connect, l.read, l.body, l.buffering = "5", "60", "1m", "on"
	for name, value := range annotations {
		switch strings.TrimPrefix(name, "nginx.ingress.kubernetes.io/") {
		case "auth-url":
			parsed, err := url.Parse(value)
			if err != nil {
				return err
			}
			l.url = parsed
		case "auth-response-headers":
			l.response = strings.Split(value, ",")
		case "backend-protocol":
			l.grpc = value == "GRPC"
		case "proxy-connect-timeout":
			l.connect = value
		case "proxy-read-timeout", "proxy-send-timeout":
			l.read = value
		case "proxy-body-size":
			l.body = value
		case "proxy-request-buffering":
			l.buffering = value
		case "auth-proxy-set-headers":
			l.authHeaders = configMaps[value]
		default:
			return fmt.Errorf("the annotation %s is not known here", name)
		}
	}
	return nil
}

func (l *location) render(b *strings.Builder) {
	line := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	if l.url != nil {
		l.renderAuth(line)
	}
	match := ""
	if l.exact {
		match = "= "
	}
	set, pass := "proxy_set_header", "proxy_pass http://upstream_balancer;"
	if l.grpc {
		set, pass = "grpc_set_header", "grpc_pass grpc://upstream_balancer_grpc;"
	}
	line("location %s%s {", match, l.path)
	if l.url != nil {
		line("auth_request %s;\nauth_request_set $auth_cookie $upstream_http_set_cookie;\nadd_header Set-Cookie $auth_cookie;", l.auth)
		for i, name := range l.response { // buildAuthResponseHeaders
			line("auth_request_set $authHeader%d $upstream_http_%s;", i, strings.ReplaceAll(strings.ToLower(name), "-", "_"))
			line("%s '%s' $authHeader%d;", set, name, i)
		}
	}
	line("client_max_body_size %s;", l.body)
	for _, pair := range [][2]string{
		{"Host", "$best_http_host"}, {"Upgrade", "$http_upgrade"}, {"Connection", "$connection_upgrade"}, {"X-Request-ID", "$request_id"},
		{"X-Real-IP", "$remote_addr"}, {"X-Forwarded-For", "$remote_addr"}, {"X-Forwarded-Host", "$best_http_host"},
		{"X-Forwarded-Port", "$server_port"}, {"X-Forwarded-Proto", "$scheme"}, {"X-Forwarded-Scheme", "$scheme"}, {"X-Scheme", "$scheme"},
		{"X-Original-Forwarded-For", "$http_x_forwarded_for"}, {"X-Original-Forwarded-Host", "$http_x_forwarded_host"}, {"Proxy", `""`},
	} {
		line("%s %s %s;", set, pair[0], pair[1])
	}
	for _, name := range slices.Sorted(maps.Keys(l.setHeaders)) {
		line("%s %s %q;", set, name, l.setHeaders[name])
	}
	line("proxy_connect_timeout %ss;\nproxy_read_timeout %ss;\nproxy_send_timeout %ss;", l.connect, l.read, l.read)
	line("proxy_buffering off;\nproxy_request_buffering %s;\nproxy_http_version 1.1;", l.buffering)
	line("proxy_next_upstream error timeout;\nproxy_next_upstream_tries 3;")
	if l.grpc {
		line("grpc_connect_timeout %ss;\ngrpc_read_timeout %ss;\ngrpc_send_timeout %ss;", l.connect, l.read, l.read)
	}
	line("%s\n%s\nproxy_redirect off;\n}", l.snippet, pass)
}

// renderAuth is the location of the question.
func (l *location) renderAuth(line func(string, ...any)) {
	line("location = %s {\ninternal;\naccess_log off;\nproxy_intercept_errors off;\nproxy_pass_request_body off;", l.auth)
	for _, pair := range [][2]string{
		{"Content-Length", `""`}, {"X-Forwarded-Proto", `""`}, {"X-Request-ID", "$request_id"}, {"Host", l.url.Hostname()},
		{"X-Original-URL", "$scheme://$http_host$request_uri"}, {"X-Original-Method", "$request_method"},
		{"X-Sent-From", `"nginx-ingress-controller"`}, {"X-Real-IP", "$remote_addr"}, {"X-Forwarded-For", "$remote_addr"},
		{"X-Auth-Request-Redirect", "$request_uri"},
	} {
		line("proxy_set_header %s %s;", pair[0], pair[1])
	}
	line("proxy_buffering off;\nproxy_request_buffering %s;\nproxy_pass_request_headers on;\nclient_max_body_size %s;", l.buffering, l.body)
	for _, name := range slices.Sorted(maps.Keys(l.authHeaders)) { // buildAuthProxySetHeaders
		line("proxy_set_header %q %q;", name, l.authHeaders[name])
	}
	line("proxy_http_version 1.1;\nset $target %q;\nproxy_pass $target;\n}", "http://"+l.options.AuthServer+l.url.RequestURI())
}
