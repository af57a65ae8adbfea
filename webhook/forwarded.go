// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

// forwardedContract is that of Traefik's ForwardAuth and Caddy's forward_auth, which
// both ask with GET and set these headers themselves, and of HAProxy, where the
// configuration sets them. Do not set Traefik's trustForwardHeader: it would
// then pass on what the client sent.
// https://doc.traefik.io/traefik/reference/routing-configuration/http/middlewares/forwardauth/
// https://caddyserver.com/docs/caddyfile/directives/forward_auth
var forwardedContract = &contract{
	path:         "/auth/forwarded",
	endpoint:     "forwarded",
	methodHeader: "X-Forwarded-Method",
	targetHeader: "X-Forwarded-Uri",
}
