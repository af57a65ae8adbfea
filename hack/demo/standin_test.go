// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func newTestStandIn() (*standIn, http.Handler) {
	s := &standIn{annotations: map[string][]annotation{}}
	return s, s.handler()
}

// ask sends one request, with headers given as name and value in turn.
func ask(handler http.Handler, method, path, body string, headers ...string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestStandInKeepsOrganizationsApart(t *testing.T) {
	s, handler := newTestStandIn()
	if status, _ := ask(handler, "POST", annotationsPath, note, "X-Scope-OrgID", "acme"); status != http.StatusCreated {
		t.Errorf("post: %d", status)
	}
	for _, r := range []struct{ method, path, body string }{{"GET", annotationsPath, ""}, {"POST", queryPath, query}} {
		if status, body := ask(handler, r.method, r.path, r.body, "X-Scope-OrgID", "acme"); status != http.StatusOK || !strings.Contains(body, title) {
			t.Errorf("%s: %d %s", r.path, status, body)
		}
		if status, body := ask(handler, r.method, r.path, r.body, "X-Scope-OrgID", "globex"); status != http.StatusOK || strings.Contains(body, title) {
			t.Errorf("%s, of the other organization: %d %s", r.path, status, body)
		}
	}
	if requests, violations := s.report(); requests != 5 || len(violations) != 0 {
		t.Errorf("%d requests, %q", requests, violations)
	}
}

func TestStandInNotesWhatShouldNotComeThrough(t *testing.T) {
	for name, test := range map[string]struct {
		path    string
		headers []string
	}{
		"a key":                       {annotationsPath, []string{"X-Scope-OrgID", "acme", "X-API-Key", "hxk_"}},
		"a key in another spelling":   {annotationsPath, []string{"X-Scope-OrgID", "acme", "X_API_Key", "hxk_"}},
		"a session":                   {annotationsPath, []string{"X-Scope-OrgID", "acme", "Authorization", "Bearer hxk_"}},
		"raw SQL":                     {rawSQLPath, []string{"X-Scope-OrgID", "acme"}},
		"no organization":             {annotationsPath, nil},
		"an empty organization":       {annotationsPath, []string{"X-Scope-OrgID", ""}},
		"two organizations":           {annotationsPath, []string{"X-Scope-OrgID", "acme", "X-Scope-OrgID", "globex"}},
		"no organization for raw SQL": {rawSQLPath, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, handler := newTestStandIn()
			status, _ := ask(handler, "GET", test.path, "", test.headers...)
			if _, violations := s.report(); len(violations) != 1 {
				t.Errorf("%d, %q", status, violations)
			}
		})
	}
}
