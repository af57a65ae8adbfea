// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// requestTimeout bounds one request. It takes milliseconds.
const requestTimeout = 20 * time.Second

// credential is a key, and the variable that a person would keep it in.
type credential struct {
	variable string
	value    string
}

// request is what is sent, and what curl would send if it were typed.
type request struct {
	method, url string
	// header and scheme say where the key goes, such as Authorization, "Bearer ".
	header, scheme string
	key            credential
	// json is the body; empty for none.
	json string
}

// withKey is a request that carries its key where keys belong.
func withKey(method, url string, key credential, json string) request {
	return request{method: method, url: url, header: "X-API-Key", key: key, json: json}
}

// command is the request as it is typed. A key shows as its variable.
func (r request) command() string {
	words := []string{"curl", "-s"}
	if r.method != http.MethodGet && (r.method != http.MethodPost || r.json == "") {
		words = append(words, "-X", r.method)
	}
	url := r.url
	if strings.ContainsAny(url, "?&*[]") {
		url = quoted(url)
	}
	words = append(words, url, "-H", fmt.Sprintf(`"%s: %s$%s"`, r.header, r.scheme, r.key.variable))
	if r.json != "" {
		words = append(words, "-H", quoted("Content-Type: application/json"), "-d", quoted(r.json))
	}
	return strings.Join(words, " ")
}

func (r request) build(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	if r.json != "" {
		body = strings.NewReader(r.json)
	}
	built, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		return nil, err
	}
	built.Header.Set(r.header, r.scheme+r.key.value)
	if r.json != "" {
		built.Header.Set("Content-Type", "application/json")
	}
	return built, nil
}

// want is what the answer to a request has to be.
type want struct {
	status int
	// contains are parts of the body.
	contains []string
	// lacks are what must not be in the body.
	lacks []string
}

func (w want) String() string {
	text := fmt.Sprintf("%d %s", w.status, http.StatusText(w.status))
	if len(w.contains) > 0 {
		text += fmt.Sprintf(", with %q in the body", w.contains)
	}
	if len(w.lacks) > 0 {
		text += fmt.Sprintf(", without %q in the body", w.lacks)
	}
	return text
}

func (w want) metBy(status int, body string) bool {
	if status != w.status {
		return false
	}
	for _, part := range w.contains {
		if !strings.Contains(body, part) {
			return false
		}
	}
	for _, part := range w.lacks {
		if strings.Contains(body, part) {
			return false
		}
	}
	return true
}

// curl prints the request, sends it, and prints the answer, which has to be as
// wanted.
func (w *walk) curl(ctx context.Context, r request, wanted want) error {
	w.out.command(r.command())
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	built, err := r.build(ctx)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(built)
	if err != nil {
		return &wrongAnswer{command: r.command(), expected: wanted.String(), came: err.Error()}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return fmt.Errorf("read the answer to %s: %w", r.command(), err)
	}
	came := fmt.Sprintf("HTTP %s\n%s", response.Status, body)
	w.out.answer(came)
	if !wanted.metBy(response.StatusCode, string(body)) {
		return &wrongAnswer{command: r.command(), expected: wanted.String(), came: came}
	}
	return nil
}

// wrongAnswer is an answer that is not as it has to be.
type wrongAnswer struct{ command, expected, came string }

func (e *wrongAnswer) Error() string {
	return fmt.Sprintf("a wrong answer to\n  %s\nexpected:\n  %s\ncame:\n  %s",
		e.command, e.expected, strings.ReplaceAll(strings.TrimSpace(e.came), "\n", "\n  "))
}
