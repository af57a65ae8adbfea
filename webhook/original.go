// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

// originalContract is that of nginx's auth_request: the subrequest is a GET of its
// own location, so the configuration passes on what the client asked for.
//
//	location = /auth {
//	    internal;
//	    proxy_pass http://authserver:8080/auth/original;
//	    proxy_pass_request_body off;
//	    proxy_set_header Content-Length "";
//	    proxy_set_header X-Original-Method $request_method;
//	    proxy_set_header X-Original-URI $request_uri;
//	}
//
// $request_uri is the target as it was sent; $uri is decoded, and would not do.
// https://nginx.org/en/docs/http/ngx_http_auth_request_module.html
var originalContract = &contract{
	path:         "/auth/original",
	endpoint:     "original",
	methodHeader: "X-Original-Method",
	targetHeader: "X-Original-Uri",
}

// originalURLContract is that of ingress-nginx's auth-url annotation, which sets
// X-Original-Method and X-Original-URL ($scheme://$http_host$request_uri), but not
// X-Original-URI: through that a client could say what it likes.
// https://github.com/kubernetes/ingress-nginx/blob/main/rootfs/etc/nginx/template/nginx.tmpl
var originalURLContract = &contract{
	path:         "/auth/original-url",
	endpoint:     "original_url",
	methodHeader: "X-Original-Method",
	targetHeader: "X-Original-Url",
	absolute:     true,
}
