// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import "net/http"

// Reason says how a request was decided. Its names are stable: they are in problem
// bodies, in metrics and in the documentation. The zero Reason does not allow.
type Reason uint8

const (
	// Undecided surfaces when this replica cannot say: it has not read all keys
	// yet, lost contact with the API server, or does not know a key that may be new;
	// or it does not know the issuer's key that a session is signed with, and the
	// issuer does not answer.
	Undecided Reason = iota
	// Allowed is the only Reason that lets a request through.
	Allowed

	// MissingKey surfaces when there is no X-API-Key, or an empty one.
	MissingKey
	// AmbiguousCredentials surfaces when there are two keys or two sessions, an
	// Authorization header beside the key, or a header that other servers could take
	// for X-API-Key or Authorization.
	AmbiguousCredentials
	// WrongHeader surfaces when the Authorization header holds an API key, or
	// anything else but a bearer token.
	WrongHeader
	// SessionsNotAccepted surfaces when the Authorization header holds a bearer
	// token, which is a dashboard session, and no issuer of sessions is configured.
	SessionsNotAccepted
	// MalformedKey surfaces when X-API-Key holds no key: mistyped or cut off, or of a
	// form that others give their keys and not imported.
	MalformedKey
	// UnknownKey surfaces when no such key is accepted: never issued, rotated away,
	// revoked or suspended.
	UnknownKey
	// ExpiredKey surfaces when the key's expirationTime has passed.
	ExpiredKey
	// InvalidSession surfaces when the bearer token is no session that is accepted
	// here: malformed, not signed by the issuer, for another audience, not valid yet,
	// or without an organization.
	InvalidSession
	// ExpiredSession surfaces when the session was good, but has expired.
	ExpiredSession

	// BadGatewayRequest surfaces when the key or session is good but the gateway did not say,
	// once and consistently, which request it asks about. It is the gateway's
	// configuration that has to change.
	BadGatewayRequest
	// AmbiguousHeaders surfaces when a header could be taken for one of those that
	// name the request or the organization, but is spelled in another way.
	AmbiguousHeaders
	// AmbiguousPath surfaces when the path has more than one reading.
	AmbiguousPath
	// NotInSurface surfaces when the path is not part of the programmatic surface.
	NotInSurface
	// MethodNotAllowed surfaces when the path is, but not with this method.
	MethodNotAllowed
	// ScopeMissing surfaces when the key lacks the scope that the request needs.
	ScopeMissing
	// SessionNotPermitted surfaces when the session is good, but nothing that sessions
	// are for has this path, or this method.
	SessionNotPermitted
	// UpgradeRefused surfaces when a request asks for another protocol.
	UpgradeRefused
	// MethodOverridden surfaces when a header asks for another method than that of
	// the request, or the query has a parameter _method.
	MethodOverridden

	// TooManyHeaders surfaces when a request has more headers than any client sends.
	TooManyHeaders
	// RequestStalled surfaces when the proxy waits for the body of a request that was
	// allowed, and nothing comes. It is counted as allowed.
	RequestStalled
	// TooBusy surfaces when the proxy has as many requests under way as it may have, or as
	// one organization may. The request itself was allowed, and is counted as that.
	TooBusy
	// UpstreamUnavailable surfaces when the proxy cannot reach the upstream. The
	// request itself was allowed, and is counted as that.
	UpstreamUnavailable
	// NoSuchEndpoint surfaces when a gateway asks under a path that is no contract's.
	NoSuchEndpoint

	reasonCount
)

// outcome is how a Reason is answered.
type outcome struct {
	name   string
	status int
	title  string
	detail string
}

// outcomes are the answers. Gateways know three kinds of refusal: 401, 403, and anything
// else, which they turn into an error of their own.
var outcomes = [reasonCount]outcome{
	Undecided: {"undecided", http.StatusServiceUnavailable, "Cannot decide right now",
		"This auth server cannot tell at the moment whether the key is good. Try again shortly."},
	Allowed: {"allowed", http.StatusOK, "", ""},

	MissingKey: {"missing_key", http.StatusUnauthorized, "No API key",
		"Send an API key in the X-API-Key header."},
	AmbiguousCredentials: {"ambiguous_credentials", http.StatusUnauthorized, "Ambiguous credentials",
		"Send exactly one X-API-Key header with one key, no Authorization header beside it, and no header with a similar name."},
	WrongHeader: {"wrong_header", http.StatusUnauthorized, "API key in the wrong header",
		"API keys are not accepted in the Authorization header. Send the key in the X-API-Key header."},
	SessionsNotAccepted: {"sessions_not_accepted", http.StatusUnauthorized, "Sessions are not accepted here",
		"The Authorization header is for dashboard sessions, which are not accepted here. Send an API key in the X-API-Key header."},
	MalformedKey: {"malformed_key", http.StatusUnauthorized, "Malformed API key",
		"The X-API-Key header does not hold a whole API key. Check that it was neither cut off nor quoted."},
	UnknownKey: {"unknown_key", http.StatusUnauthorized, "Unknown API key",
		"This API key is not accepted. It may have been rotated or revoked."},
	ExpiredKey: {"expired_key", http.StatusUnauthorized, "Expired API key",
		"This API key has expired."},
	InvalidSession: {"invalid_session", http.StatusUnauthorized, "Session not accepted",
		"This session is not accepted here. Sign in again."},
	ExpiredSession: {"expired_session", http.StatusUnauthorized, "Session expired",
		"This session has expired. Sign in again."},

	BadGatewayRequest: {"bad_gateway_request", http.StatusForbidden, "The gateway did not describe the request",
		"The gateway has to tell the auth server the method and the path of the request, once each."},
	AmbiguousHeaders: {"ambiguous_headers", http.StatusForbidden, "Ambiguous headers",
		"A header of the request is spelled almost like one that the gateway sets. Remove it."},
	AmbiguousPath: {"ambiguous_path", http.StatusForbidden, "Ambiguous path",
		"The path could be read in more than one way."},
	NotInSurface: {"not_in_surface", http.StatusForbidden, "Not for API keys",
		"API keys do not reach this path."},
	MethodNotAllowed: {"method_not_allowed", http.StatusForbidden, "Method not for API keys",
		"API keys reach this path, but not with this method."},
	ScopeMissing: {"scope_missing", http.StatusForbidden, "Scope missing",
		"The API key does not have the scope that this request needs."},
	SessionNotPermitted: {"session_not_permitted", http.StatusForbidden, "Not for sessions",
		"Dashboard sessions do not reach this path."},
	UpgradeRefused: {"upgrade_refused", http.StatusForbidden, "Protocol upgrade refused",
		"Nothing that needs another protocol is reached through here."},
	MethodOverridden: {"method_overridden", http.StatusForbidden, "Method override refused",
		"A header or a query parameter asks for another method than that of the request. Send the request with the method that is meant."},

	TooManyHeaders: {"too_many_headers", http.StatusForbidden, "Too many headers",
		"The request has too many headers. Send at most 128."},
	RequestStalled: {"request_stalled", http.StatusRequestTimeout, "Request body timed out",
		"The body of the request did not arrive in time. Send the request again."},
	TooBusy: {"too_busy", http.StatusServiceUnavailable, "Too many requests in flight",
		"The request was allowed, but too many requests are in flight, of this organization or of all. Try again shortly."},
	UpstreamUnavailable: {"upstream_unavailable", http.StatusBadGateway, "Upstream unavailable",
		"The request was allowed, but what serves it could not be reached."},
	NoSuchEndpoint: {"no_such_endpoint", http.StatusNotFound, "No such endpoint",
		"Gateways ask at /auth/original, /auth/original-url, /auth/forwarded or below /auth/envoy/."},
}

// String is the stable name.
func (r Reason) String() string { return r.outcome().name }

// Status is its HTTP status.
func (r Reason) Status() int { return r.outcome().status }

func (r Reason) outcome() *outcome {
	if r >= reasonCount {
		return &outcomes[Undecided]
	}
	return &outcomes[r]
}
