// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package webhook is the auth server: gateways ask it about every request, or it
// is the reverse proxy itself.
//
//	request ── contract ──► attributes ─┐   method and path, as this gateway sends them
//	           headers ───► extract ────┴─► decide ──► answer
//	                                   key: the surface, then the registry
//	                                   session: the issuer, then the surface
//
// Each gateway contract is an endpoint of its own that believes its own headers
// only, because whoever can choose which headers are believed can choose which
// path is judged:
//
//	/auth/original      X-Original-Method, X-Original-URI     nginx auth_request
//	/auth/original-url  X-Original-Method, X-Original-URL     ingress-nginx auth-url
//	/auth/forwarded     X-Forwarded-Method, X-Forwarded-Uri   Traefik, Caddy, HAProxy
//	/auth/envoy/…       the question's method, and its path   Envoy's ext_authz over HTTP,
//	                    after the prefix                      and all that configures Envoy
//	gRPC Check          attributes.request.http               the same over gRPC
//	the proxy listener  the request itself                    no gateway at all
//
// What this package promises:
//   - To a gateway exactly 200 allows (over gRPC, the code OK), and always carries every
//     identity header; anything else refuses and carries none.
//   - A refusal has a stable Reason, in an RFC 9457 body, or, from the proxy to a
//     gRPC client, in the status. To a gateway that body is in the header
//     X-Auth-Problem, too, for those that drop bodies.
//   - 401 is said only when it is certain that the key or session is not good; 503
//     when it is not.
//   - Reasons are found in the order credentials, key or session, request: who has
//     nothing good to show learns nothing of the surface.
//   - A text that has not the form of our keys is a key only if it was imported; the
//     answer does not show whether anything was.
//   - A key reaches what has a scope, a session what is marked for sessions; neither
//     learns of what is only for the other.
//   - What could be read in two ways is refused: two keys, a key beside a session,
//     look-alike headers, paths.
//   - An answer does not depend on a body, and does not wait for one. What a client may
//     hold, connections, bodies and streams, is bounded: see internal/serving.
//   - The path that was judged is, byte for byte, the path that the proxy forwards.
//
// What it must never do: answer, log or count anything that a key could be derived
// from; let a header through that a client sent under the name of an identity
// header; allow because of an error.
package webhook
