// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"encoding/json"
	"net/http"
	"strconv"
)

const (
	// problemType is the namespace of the problem types (RFC 9457, section 3.1.1).
	problemType = "https://auth.hexcovery.io/problems/"
	// challenge says how to authenticate (RFC 9110, section 11.6.1).
	challenge = `ApiKey realm="hexcovery", header="X-API-Key"`
	// sessionChallenge is for requests with a session (RFC 6750, section 3.1).
	// It is one field, for gateways that keep one of several.
	sessionChallenge = `Bearer realm="hexcovery", error="invalid_token", ` + challenge
	// retryAfter is how many seconds a client should wait: joining and catching up
	// take less.
	retryAfter = "1"
	// problemHeader is where gateways find the problem body a second time. Some keep
	// the headers of a refusal and drop its body: nginx's auth_request does.
	problemHeader = "X-Auth-Problem"
)

// problem is the body of a refusal: RFC 9457, with the Reason as an extension.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Reason string `json:"reason"`
}

// body returns the problem as one line of ASCII. A detail replaces the reason's own;
// it must come from this program, never from a request.
func (r Reason) body(detail string) []byte {
	o := r.outcome()
	if detail == "" {
		detail = o.detail
	}
	body, err := json.Marshal(problem{Type: problemType + o.name, Title: o.title, Status: o.status, Detail: detail, Reason: o.name})
	if err != nil {
		panic(err) // five strings and a number
	}
	return body
}

// headers returns the fields, names and values, that a refusal has beside its body.
func (r Reason) headers() [][2]string {
	fields := [][2]string{{contentTypeHeader, "application/problem+json"}, {"Cache-Control", "no-store"}}
	switch r.Status() {
	case http.StatusUnauthorized:
		wanted := challenge
		if r == InvalidSession || r == ExpiredSession {
			wanted = sessionChallenge
		}
		fields = append(fields, [2]string{"WWW-Authenticate", wanted})
	case http.StatusServiceUnavailable:
		fields = append(fields, [2]string{"Retry-After", retryAfter})
	}
	return fields
}

func writeProblem(w http.ResponseWriter, reason Reason, detail string) {
	for _, field := range reason.headers() {
		w.Header().Set(field[0], field[1])
	}
	body := reason.body(detail)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(reason.Status())
	_, _ = w.Write(body) // whoever has gone away needs no answer
}

// refuseGateway refuses to a gateway.
func refuseGateway(w http.ResponseWriter, reason Reason, detail string) {
	w.Header().Set(problemHeader, string(reason.body(detail)))
	writeProblem(w, reason, detail)
}
